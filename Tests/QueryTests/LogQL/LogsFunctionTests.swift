internal import Disk
internal import LogStore
internal import Query
internal import Telemetry
internal import TestSupport
internal import Testing

/// `logs(…)` joins both signals in one PromQL expression.
struct LogsFunctionTests {
    private let engine: Engine

    /// Sample `up{app="web"}` of 2 at 60 s; four lines of `web`, two of them errors with a parenthesis in the text.
    init() async throws {
        let database = try LogDatabase.open(
            storage: SimulatedStorage(seed: 1), folder: "logs", wallClock: ManualClock())
        var lines = LogLines(labels: Labels(["app": "web"]))
        for (index, text) in ["ok", "error )(", "ok", "error # 2"].enumerated() {
            lines.append(nanoseconds: Int64(10 + index) * 1_000_000_000, line: Array(text.utf8))
        }
        _ = try await database.append(LogBatch(streams: [lines]))
        let samples = MemorySeriesSource()
        var group = SampleGroup()
        group.append(Labels(["__name__": "up", "app": "web"]), milliseconds: 60_000, value: 2)
        _ = try await samples.append(SampleBatch(groups: [group]))
        engine = Engine(series: samples, logs: database)
    }

    private func instant(_ query: String) throws -> [String: Double] {
        let context = QueryContext(clock: SystemMonotonicClock())
        guard case .vector(let points) = try engine.instant(query, atMilliseconds: 60_000, in: context) else {
            return [:]
        }
        return Dictionary(uniqueKeysWithValues: points.map { ($0.labels.description, $0.value) })
    }

    @Test(arguments: [
        (#"logs(count_over_time({app="web"}[1m]))"#, [#"{app="web"}"#: 4.0]),
        (#"logs(count_over_time({app="web"} |= ")(" [1m])) / on (app) up"#, [#"{app="web"}"#: 0.5]),
        ("logs(count_over_time({app=\"web\"} |~ `error|#` [1m]) # ( not counted\n) + 1", [#"{app="web"}"#: 3.0]),
        (#"sum(logs(count_over_time({app="web"}[1m]))) > 3 and on () (up == 2)"#, ["{}": 4.0]),
        (#"max_over_time(logs(count_over_time({app="web"}[1m]))[1m:10s])"#, [#"{app="web"}"#: 4.0]),
        ("logs(vector(1) + 1)", ["{}": 2.0]), ("logs(1 + 1)", ["{}": 2.0]),
    ])
    func linesCountInPromQL(query: String, expected: [String: Double]) throws {
        #expect(try instant(query) == expected)
    }

    @Test func aRangeOfStepsIsCounted() throws {
        let answer = try engine.range(
            #"logs(count_over_time({app="web"}[1s]))"#, startMilliseconds: 10_000, endMilliseconds: 15_000,
            stepMilliseconds: 1000, in: QueryContext(clock: SystemMonotonicClock()))
        guard case .matrix(let series) = answer else {
            Issue.record("a matrix was wanted")
            return
        }
        #expect(series.map(\.timesMilliseconds) == [[10_000, 11_000, 12_000, 13_000]])
    }

    @Test(arguments: [
        (#"up + logs({app="web"})"#, "1:6: parse error: logs(…) needs numbers, this is a log query"),
        (#"logs(rate({app="web"}))"#, "1:6: parse error: rate needs a range such as [5m]"),
        ("up +\n logs(\n  rate({app=1}[1m]))", "3:13: parse error: syntax error: unexpected NUMBER"),
        (#"logs(rate({app="web"}[1m])"#, "1:1: parse error: unclosed left parenthesis"),
    ])
    func errorsNameThePlaceInTheWhole(query: String, message: String) {
        let error = #expect(throws: QueryError.self) { try Engine.parse(query) }
        #expect(error?.description.hasPrefix(message) == true, "\(error?.description ?? "")")
    }

    @Test func itPrintsWhatItReads() throws {
        let text = #"up / on (app) group_left () logs(count_over_time({app="web"} |= ")" [1m]))"#
        let printed = try Engine.parse(text).description
        #expect(try Engine.parse(printed) == Engine.parse(text))
        #expect(try Engine.parse(printed).description == printed)
    }

    @Test func itIsRefusedWhereOtherToolsRead() {
        let error = #expect(throws: QueryError.self) {
            try Engine.parse(#"up > logs(rate({app="web"}[1m]))"#, allowsLogs: false)
        }
        #expect(error?.description.hasPrefix("1:6: parse error: logs(…) is not PromQL that other tools read") == true)
    }
}
