internal import Telemetry
internal import TestSupport
internal import Testing

@testable internal import LogStore

/// Counts by pattern are exact: they add up to all lines, wherever these lie, and their examples are lines.
struct PatternTests {
    private static let labels = Labels(["app": "web"])

    private static func request(_ fixture: LogFixture, _ predicates: [LinePredicate] = []) -> LogRequest {
        LogRequest(
            matchers: [try? LabelMatcher("app", .equal, "web")].compactMap { $0 },
            range: LogTimeRange(startNanoseconds: fixture.time(-10_000), endNanoseconds: fixture.time(0)),
            fragment: LogPlanFragment(linePredicates: predicates))
    }

    private static func lines(_ fixture: LogFixture) -> [(Int64, String)] {
        (0..<100).map { index in
            let time = fixture.time(-9_000 + Int64(index) * 50)
            switch index % 4 {
            case 0, 1: return (time, "user \(index) logged in from 10.0.0.\(index)")
            case 2: return (time, "{\"level\":\"info\",\"took\":\(index)}")
            default: return (time, "started")
            }
        }
    }

    @Test func countsAreExactInMemoryAndInParts() async throws {
        let fixture = try LogFixture()
        let store = try fixture.open()
        _ = try await store.append(LogBatch(PatternTests.labels, PatternTests.lines(fixture)))
        let request = PatternTests.request(fixture)
        let inMemory = try store.patterns(request, bucketNanoseconds: 1_000_000_000, in: fixture.context())
        try store.seal()
        let inPart = try store.patterns(request, bucketNanoseconds: 1_000_000_000, in: fixture.context())
        #expect(inPart.map(\.pattern) == inMemory.map(\.pattern))
        #expect(inPart.map(\.lines) == inMemory.map(\.lines))
        #expect(inPart.map(\.total) == [50, 25, 25])
        #expect(inPart.first?.pattern == "user <_> logged in from <_>")
        #expect(inPart.first.map { String(decoding: $0.example, as: UTF8.self) } == "user 0 logged in from 10.0.0.0")
        #expect(inPart.first?.exampleLabels == PatternTests.labels)
        #expect(inPart.first?.exampleNanoseconds == fixture.time(-9_000))
        // One second holds twenty lines, ten of which log somebody in.
        #expect(inPart.first?.lines == [0, 10, 10, 10, 10, 10, 0, 0, 0, 0])
        try store.close()
    }

    @Test func lineFiltersComeFirst() async throws {
        let fixture = try LogFixture()
        let store = try fixture.open()
        _ = try await store.append(LogBatch(PatternTests.labels, PatternTests.lines(fixture)))
        try store.seal()
        let request = PatternTests.request(fixture, [LinePredicate(.contains, ["user 1"])])
        let found = try store.patterns(request, bucketNanoseconds: .max, in: fixture.context())
        #expect(found.map(\.total) == [5])
        var parsed = PatternTests.request(fixture)
        parsed.fragment.parser = .json
        #expect(throws: LogPatternError.self) {
            try store.patterns(parsed, bucketNanoseconds: 1_000_000_000, in: fixture.context())
        }
        try store.close()
    }

    /// What a JSON or logfmt line says stays in its pattern, whatever form its column took; what varies does not.
    @Test func messagesOfFieldsArePatternsOfTheirOwn() async throws {
        let fixture = try LogFixture()
        let store = try fixture.open()
        let lines: [(Int64, String)] = (0..<600).map { index in
            let time = fixture.time(-9_000 + Int64(index) * 10)
            return switch index % 6 {
            case 0: (time, "{\"level\":\"info\",\"msg\":\"request done\",\"took\":\(index)}")
            case 1: (time, "{\"level\":\"info\",\"msg\":\"user u\(index) came\",\"took\":\(index)}")
            case 2: (time, "{\"level\":\"error\",\"msg\":\"dial tcp 10.0.0.\(index % 200):80: refused\",\"took\":1}")
            case 3: (time, "ts=\(index) level=warn msg=\"disk is slow\" user=anna")
            case 4: (time, "ts=\(index) level=warn msg=\"disk \(index) is full\" user=anna")
            default: (time, "{\"level\":\"info\",\"msg\":\"\(words(index))\",\"took\":\(index)}")
            }
        }
        _ = try await store.append(LogBatch(PatternTests.labels, lines))
        let request = PatternTests.request(fixture)
        let inMemory = try store.patterns(request, bucketNanoseconds: .max, in: fixture.context())
        try store.seal()
        let inPart = try store.patterns(request, bucketNanoseconds: .max, in: fixture.context())
        #expect(inPart.map(\.pattern) == inMemory.map(\.pattern))
        #expect(inPart.map(\.total) == inMemory.map(\.total))
        #expect(inPart.reduce(0) { $0 + $1.total } == 600)
        let totals = Dictionary(uniqueKeysWithValues: inPart.map { ($0.pattern, $0.total) })
        for pattern in [
            #"{"level":"info","msg":"request done","took":<_>}"#, #"{"level":"info","msg":"user <_> came","took":<_>}"#,
            #"{"level":"error","msg":"dial tcp <_> refused","took":<_>}"#,
            #"ts=<_> level=warn msg="disk is slow" user=<_>"#, #"ts=<_> level=warn msg="disk <_> is full" user=<_>"#,
        ] { #expect(totals[pattern] == 100, "\(pattern): \(totals.keys.sorted().prefix(12))") }
        try store.close()
    }

    /// A hundred messages without a digit, each of its own words.
    private func words(_ index: Int) -> String {
        let names = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]
        return "\(names[index / 6 % 10]) met \(names[index / 60 % 10])"
    }

    /// A field that says something else each time does not make the answer as long as the range.
    @Test func messagesThatAreAllDifferentAreBounded() async throws {
        let fixture = try LogFixture()
        let store = try fixture.open()
        let letters = Array("abcdefghijklmnopqrstuvwxyz")
        let lines: [(Int64, String)] = (0..<3_000).map { index in
            let word = [index / 676 % 26, index / 26 % 26, index % 26].map { String(letters[$0]) }.joined()
            return (fixture.time(-9_000 + Int64(index)), "{\"msg\":\"\(word)\"}")
        }
        _ = try await store.append(LogBatch(PatternTests.labels, lines))
        let found = try store.patterns(
            PatternTests.request(fixture), bucketNanoseconds: .max, in: fixture.context())
        #expect(found.count == 257)
        #expect(found.first?.pattern == "{\"msg\":\"<_>\"}")
        #expect(found.reduce(0) { $0 + $1.total } == 3_000)
        try store.close()
    }
}
