internal import Disk
internal import LogStore
internal import Query
internal import Telemetry
internal import TestSupport
internal import Testing

/// LogQL over a real log store on a real disk.
@Suite struct LogQLEvaluationTests {
    private let folder: TemporaryFolder
    private let clock = ManualClock(nanoseconds: 1_700_000_600_000_000_000)
    private let base: Int64 = 1_700_000_000_000_000_000

    private let engine: Engine

    /// Two streams: `web` says "hit N" every second for a minute, "error" every tenth; `db` says "slow" at 5 s and 15
    /// s.
    init() async throws {
        folder = try TemporaryFolder()
        let database = try LogDatabase.open(
            storage: SystemStorage(), folder: folder.path + "/logs", wallClock: clock)
        var web = LogLines(labels: Labels(["app": "web", "env": "prod"]))
        for second in 0..<60 {
            let text = second % 10 == 0 ? "error \(second)" : "hit \(second)"
            web.append(nanoseconds: base + Int64(second) * 1_000_000_000, line: Array(text.utf8))
        }
        var db = LogLines(labels: Labels(["app": "db", "env": "prod"]))
        db.append(nanoseconds: base + 5_000_000_000, line: Array("slow".utf8))
        db.append(nanoseconds: base + 15_000_000_000, line: Array("slow".utf8))
        _ = try await database.append(LogBatch(streams: [web, db]))
        engine = Engine(series: NoSeries(), logs: database)
    }

    private func context() -> QueryContext { QueryContext(clock: SystemMonotonicClock()) }

    private func lines(_ query: String, limit: Int = 0, direction: LogDirection = .forward) throws -> [String] {
        let range = LogTimeRange(startNanoseconds: base, endNanoseconds: base + 60_000_000_000)
        let answer = try engine.logRange(
            query, range: range, stepMilliseconds: 1_000, limit: limit, direction: direction, in: context())
        guard case .streams(let streams) = answer else { return [] }
        return streams.flatMap { stream in stream.lines.map { String(decoding: $0.text, as: UTF8.self) } }
    }

    private func instant(_ query: String, second: Int64 = 60) throws -> [String: Double] {
        let time = base + second * 1_000_000_000
        let answer = try engine.logInstant(
            query, atNanoseconds: time, limit: 0, direction: .forward, in: context())
        switch answer {
        case .vector(let points):
            return Dictionary(uniqueKeysWithValues: points.map { ($0.labels.description, $0.value) })
        case .scalar(let sample): return ["": sample.value]
        default: return [:]
        }
    }

    @Test(arguments: [
        ("99999", "2243"), ("1700000000", "2023"), ("9999999999", "2262"), ("9999999999999", "2262"),
        ("9999999999999999", "2262"), ("-999999999", "1938"),
    ])
    func aTimeBeyondTheScaleIsItsEnd(_ digits: String, _ year: String) throws {
        let format = "{{ unixToTime \"\(digits)\" | date \"2006\" }}"
        #expect(try lines("{app=\"db\"} | line_format `\(format)`").first == year)
    }

    @Test func lineFilters() throws {
        #expect(try lines(#"{app="web"} |= "error""#).count == 6)
        #expect(try lines(#"{app="web"} != "error""#).count == 54)
        #expect(try lines(#"{app="web"} |= "error" or "hit 1""#).count == 16)
        #expect(try lines(#"{app="web"} |~ "hit [12]$""#) == ["hit 1", "hit 2"])
        #expect(try lines(#"{app="web"} !~ "hit" != "0""#).isEmpty)
        #expect(try lines(#"{env="prod"} |= "slow""#) == ["slow", "slow"])
        #expect(try lines(#"{app="web"} |= """#, limit: 3) == ["error 0", "hit 1", "hit 2"])
        #expect(try lines(#"{app="web"}"#, limit: 2, direction: .backward) == ["hit 59", "hit 58"])
    }

    @Test func rangeFunctions() async throws {
        // A window includes its end and not its start: seconds 31...60, and second 60 has no line.
        #expect(try instant(#"count_over_time({app="web"}[30s])"#) == [#"{app="web", env="prod"}"#: 29])
        #expect(try instant(#"rate({app="web"}[10s] offset 20s)"#) == [#"{app="web", env="prod"}"#: 1])
        #expect(try instant(#"bytes_over_time({app="db"}[1m])"#) == [#"{app="db", env="prod"}"#: 8])
        #expect(try instant(#"sum by (env) (count_over_time({env="prod"}[1m]))"#) == [#"{env="prod"}"#: 61])
        #expect(try instant(#"sum(count_over_time({env="prod"} |= "error"[1m])) / 5"#) == ["{}": 1])
        #expect(try instant(#"topk(1, count_over_time({env="prod"}[1m]))"#) == [#"{app="web", env="prod"}"#: 59])
        #expect(try instant(#"count_over_time({app="web"}[1m]) > 1000"#).isEmpty)
        #expect(try instant("1 + 1") == ["": 2])
    }

    @Test func stepsSlide() throws {
        let range = LogTimeRange(startNanoseconds: base + 5_000_000_000, endNanoseconds: base + 25_000_000_000)
        let answer = try engine.logRange(
            #"count_over_time({app="db"}[10s])"#, range: range, stepMilliseconds: 5_000, limit: 0,
            direction: .forward, in: context())
        guard case .matrix(let series) = answer else {
            Issue.record("a matrix was wanted")
            return
        }
        // The line of 5 s counts at 5 and 10, the line of 15 s at 15 and 20; at 25 there is nothing.
        #expect(series.first?.timesMilliseconds.map { $0 - base / 1_000_000 } == [5_000, 10_000, 15_000, 20_000])
        #expect(series.first?.values == [1, 1, 1, 1])
    }

    @Test func aFailedLineFailsTheQueryUnlessItIsLeftOut() throws {
        let error = #expect(throws: QueryError.self) { try instant(#"rate({app="web"} | json [1m])"#) }
        #expect(error?.message.hasPrefix("pipeline error: 'JSONParserErr' for series: '{__error__=") == true)
        #expect(try instant(#"rate({app="web"} | json | __error__="" [1m])"#).isEmpty)
        let lines = #expect(throws: QueryError.self) { try instant(#"{app="web"}"#) }
        #expect(lines?.message.hasPrefix("log queries are not supported as an instant query type") == true)
    }
}

/// A metric store without metrics: LogQL must not need one.
private struct NoSeries: SeriesSource {
    func select(_ request: SeriesRequest, in context: QueryContext) throws -> [any SeriesCursor] { [] }
    func series(_ request: SeriesRequest, in context: QueryContext) throws -> [Labels] { [] }
    func labelNames(_ request: SeriesRequest, in context: QueryContext) throws -> [String] { [] }
    func labelValues(_ name: String, _ request: SeriesRequest, in context: QueryContext) throws -> [String] { [] }
    func metadata(metricName: String?, limit: Int, in context: QueryContext) throws -> [MetricMetadata] { [] }
}
