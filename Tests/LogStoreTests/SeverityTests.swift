internal import Telemetry
internal import TestSupport
internal import Testing

@testable internal import LogStore

/// Severities are stored with lines, and what is filtered or counted by them is what looking at each line would give.
struct SeverityTests {
    /// Lines of three streams: plain ones of all kinds, one whose label tells the level, one whose metadata does.
    private static func batch(_ fixture: LogFixture, seed: UInt64, withOwn: Bool) -> LogBatch {
        var samples = LineSamples(seed: seed)
        var plain = LogLines(labels: Labels(["app": "plain"]))
        let words = ["ERROR boom", "WARN: slow", "level=debug x", "[info] up", "nothing", #"{"level":"fatal"}"#]
        for index in 0..<200 {
            let time = fixture.time(Int64(index))
            let text = index % 3 == 0 ? Array(words[index / 3 % words.count].utf8) : samples.line(index % 10, at: time)
            plain.append(nanoseconds: time, line: text)
        }
        var labelled = LogLines(labels: Labels(["app": "labelled", "level": "warning"]))
        var told = LogLines(labels: Labels(["app": "told"]))
        for index in 0..<30 {
            let time = fixture.time(Int64(index))
            labelled.append(nanoseconds: time, line: Array("ERROR \(index)".utf8))
            let metadata =
                index % 2 == 0
                ? Labels(["severity": "ERR"]) : withOwn && index % 5 == 0 ? Labels(["detected_level": "odd"]) : .empty
            told.append(nanoseconds: time, line: Array("info: \(index)".utf8), metadata: metadata)
        }
        return LogBatch(streams: [plain, labelled, told])
    }

    private static func severity(_ line: AnsweredLine) -> UInt8 {
        LineSeverity.number(ofStream: line.labels)
            ?? line.line.withUnsafeBytes { LineSeverity.number(of: $0, metadata: line.metadata) }
    }

    @Test(arguments: [false, true]) func filtersKeepWhatLookingAtEachLineKeeps(isSealed: Bool) async throws {
        let fixture = try LogFixture()
        let store = try fixture.open()
        _ = try await store.append(SeverityTests.batch(fixture, seed: 1, withOwn: true))
        if isSealed { try store.seal() }
        let all = try store.lines(LogRequest(matchers: [], range: .all), fixture.context())
        #expect(Set(all.map { SeverityTests.severity($0) }).count >= 7)
        for severity in Severity.allCases {
            var fragment = LogPlanFragment()
            fragment.severities = SeveritySet(number: severity.rawValue)
            fragment.wantsSeverities = true
            let request = LogRequest(matchers: [], range: .all, fragment: fragment)
            let found = try store.lines(request, fixture.context())
            // Lines with a level of their own come in any case: whoever asks looks at it.
            let wanted = all.filter { [severity.rawValue, LineSeverity.own].contains(SeverityTests.severity($0)) }
            #expect(found == wanted, "\(severity)")
            var buffer = LogLineBuffer()
            let cursor = try store.select(request, in: fixture.context()).cursor
            while try cursor.next(into: &buffer) {
                #expect(buffer.severities.count == buffer.count)
                #expect(buffer.severities.allSatisfy { $0 == severity.rawValue || $0 == LineSeverity.own })
            }
        }
        try store.close()
    }

    @Test(arguments: [false, true]) func countsAreThoseOfEachLine(isSealed: Bool) async throws {
        let fixture = try LogFixture()
        let store = try fixture.open()
        _ = try await store.append(SeverityTests.batch(fixture, seed: 2, withOwn: false))
        if isSealed { try store.seal() }
        let all = try store.lines(LogRequest(matchers: [], range: .all), fixture.context())
        let range = LogTimeRange(startNanoseconds: fixture.time(0), endNanoseconds: fixture.time(1000))
        for (bucket, countsBytes) in [(Int64(1_000_000_000), false), (50_000_000, false), (1_000_000_000, true)] {
            let request = LogRequest(
                matchers: [], range: range, fragment: LogPlanFragment(grouping: [LineSeverity.label]),
                countsBytes: countsBytes)
            let context = fixture.context()
            let counts = try #require(try store.counts(request, bucketNanoseconds: bucket, in: context))
            for group in counts {
                let name = group.labels[LineSeverity.label]
                let lines = all.filter { LineSeverity.name(of: SeverityTests.severity($0)) == name }
                #expect(group.lines.reduce(0, +) == lines.count, "\(group.labels)")
                #expect(group.lines[0] == lines.count { $0.nanoseconds < fixture.time(0) + bucket })
                if countsBytes { #expect(group.bytes.reduce(0, +) == lines.reduce(0) { $0 + $1.line.count }) }
            }
            #expect(counts.reduce(0) { $0 + $1.lines.reduce(0, +) } == all.count)
            // Whole blocks are counted from the index.
            if isSealed, bucket == 1_000_000_000, !countsBytes {
                #expect(context.statistics.skipped.counted == 3 && context.statistics.blocksRead == 0)
            }
        }
        try store.close()
    }

    @Test func aLevelThatALineCameWithIsLeftToWhoReadsIt() async throws {
        let fixture = try LogFixture()
        let store = try fixture.open()
        _ = try await store.append(SeverityTests.batch(fixture, seed: 3, withOwn: true))
        try store.seal()
        let range = LogTimeRange(startNanoseconds: fixture.time(0), endNanoseconds: fixture.time(1000))
        func counts(_ grouping: [String]) throws -> [LogCounts]? {
            let fragment = LogPlanFragment(grouping: grouping)
            let request = LogRequest(matchers: [], range: range, fragment: fragment, countsBytes: false)
            return try store.counts(request, bucketNanoseconds: 1_000_000_000, in: fixture.context())
        }
        #expect(try counts([LineSeverity.label]) == nil)
        #expect(try counts([])?.count == 1)
        try store.close()
    }

    @Test func blocksWithoutASeverityAreNotOpened() async throws {
        let fixture = try LogFixture()
        let store = try fixture.open()
        _ = try await store.append(LogBatch(Labels(["app": "calm"]), [(fixture.time(0), "INFO fine")]))
        _ = try await store.append(LogBatch(Labels(["app": "bad"]), [(fixture.time(0), "ERROR broken")]))
        try store.seal()
        var fragment = LogPlanFragment()
        fragment.severities = [
            SeveritySet(number: Severity.error.rawValue), SeveritySet(number: Severity.fatal.rawValue),
        ]
        let context = fixture.context()
        let found = try store.lines(LogRequest(matchers: [], range: .all, fragment: fragment), context)
        #expect(found.map(\.text) == ["ERROR broken"])
        #expect(context.statistics.skipped.severity == 1 && context.statistics.blocksRead == 1)
        try store.close()
    }

    @Test func answersTellWhatRuledBlocksOut() async throws {
        let fixture = try LogFixture()
        let store = try fixture.open()
        func add(_ app: String, _ text: (Int) -> String) async throws {
            let lines = (0..<40).map { (fixture.time(Int64($0)), text($0)) }
            _ = try await store.append(LogBatch(Labels(["app": app]), lines))
        }
        try await add("number") { "took \($0) of 99" }
        try await add("text") { _ in "always the same" }
        try await add("dictionary") { "state=\($0 % 2 == 0 ? "open" : "shut") now" }
        try store.seal()
        func skipped(_ app: String, _ text: String) throws -> SkippedBlocks {
            let context = fixture.context()
            let fragment = LogPlanFragment(linePredicates: [LinePredicate(.contains, [text])])
            let request = LogRequest(
                matchers: [try LabelMatcher("app", .equal, app)], range: .all, fragment: fragment)
            #expect(try store.lines(request, context).isEmpty)
            return context.statistics.skipped
        }
        let numbers = try skipped("number", "took 1.5")
        #expect(numbers.numbers == 1, "\(numbers)")
        #expect(try skipped("text", "never").templates == 1)
        #expect(try skipped("dictionary", "ajar now").dictionaries == 1)
        #expect(try skipped("text", "a-word-that-is-longer").words == 1)
        let late = LogTimeRange(startNanoseconds: fixture.time(20), endNanoseconds: fixture.time(21))
        let context = fixture.context()
        _ = try await store.append(LogBatch(Labels(["app": "late"]), [(fixture.time(90), "x")]))
        _ = try store.lines(LogRequest(matchers: [], range: late), context)
        #expect(context.statistics.skipped.time == 1)
        try store.close()
    }

    @Test func fieldsAreRuledOutByBoundsAndDictionaries() async throws {
        let fixture = try LogFixture()
        let store = try fixture.open()
        var random = SeededGenerator(seed: 1)
        let lines = (0..<60).map { index in
            let status = 200 + random.int(in: 0..<50)
            return (
                fixture.time(Int64(index)), #"{"status":\#(status),"method":"\#(index % 2 == 0 ? "GET" : "PUT")"}"#
            )
        }
        _ = try await store.append(LogBatch(Labels(["app": "web"]), lines))
        try store.seal()
        func skipped(_ predicate: FieldPredicate) throws -> SkippedBlocks {
            let context = fixture.context()
            let fragment = LogPlanFragment(parser: .json, fieldPredicates: [predicate])
            #expect(try store.lines(LogRequest(matchers: [], range: .all, fragment: fragment), context).isEmpty)
            return context.statistics.skipped
        }
        #expect(try skipped(FieldPredicate("status", .greaterOrEqual, "500", number: 500)).numbers == 1)
        #expect(try skipped(FieldPredicate("status", .equal, "503")).numbers == 1)
        #expect(try skipped(FieldPredicate("method", .equal, "POST")).dictionaries == 1)
        #expect(try skipped(FieldPredicate("absent", .equal, "1")).templates == 1)
        try store.close()
    }
}
