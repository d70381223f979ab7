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
}
