import Query
import Telemetry
import Testing

@testable import Alerting

/// "It is over" and "nobody knows" are told apart by the series behind the alert.
@Suite struct DataPresenceTests {
    /// Series as times of samples, and whether a stale marker ends them.
    private struct Script: ExpressionEvaluating {
        var series: [(labels: Labels, times: [Int64], endedAt: Int64?)]

        func vector(_ expression: String, atMilliseconds: Int64) -> [SeriesPoint] { [] }
        func selectors(in expression: String) throws -> [[LabelMatcher]] { try Engine.selectors(in: expression) }

        func liveness(_ matchers: [LabelMatcher], in range: TimeRange) -> [SeriesLiveness] {
            series.compactMap { entry in
                let times = entry.times.filter(range.contains)
                guard let last = times.last, matchers.allSatisfy({ $0.matches(entry.labels) }) else { return nil }
                let gaps = zip(times.dropFirst(), times).map { $0 - $1 }.sorted()
                let isEnded = entry.endedAt.map { $0 <= range.endMilliseconds } ?? false
                return SeriesLiveness(
                    labels: entry.labels, lastSampleAt: last, isEnded: isEnded,
                    intervalMilliseconds: gaps.isEmpty ? nil : gaps[gaps.count / 2])
            }
        }
    }

    private static let web = Labels(["__name__": "errors", "name": "web", "node": "n1", "id": "/docker/a"])

    private func hasData(
        _ expression: String, _ script: Script, labels: Labels = web.dropping(["__name__"]), activeAt: Int64 = 60_000,
        lastMatchAt: Int64 = 100_000, now: Int64 = 110_000
    ) throws -> Bool {
        let presence = DataPresence(evaluator: script, selectors: try script.selectors(in: expression))
        return try presence.hasData(activeAt: activeAt, lastMatchAt: lastMatchAt, seriesLabels: labels, now: now)
    }

    private func seconds(_ range: ClosedRange<Int64>) -> [Int64] { range.map { $0 * 1000 } }

    @Test func aSeriesThatGoesOnIsBelieved() throws {
        let script = Script(series: [(DataPresenceTests.web, seconds(0...110), nil)])
        #expect(try hasData("errors > 5", script))
    }

    @Test func aSilentSeriesIsNoData() throws {
        let script = Script(series: [(DataPresenceTests.web, seconds(0...104), nil)])
        #expect(try !hasData("errors > 5", script))
    }

    @Test func aWindowThatStillHoldsOldSamplesDoesNotHideTheSilence() throws {
        // rate() over five minutes falls below its threshold by itself when samples stop.
        let script = Script(series: [(DataPresenceTests.web, seconds(0...101), nil)])
        #expect(try !hasData("rate(errors[5m]) > 1", script, now: 200_000))
    }

    @Test func theLastSampleWithinTheLookbackDoesNotHideTheSilence() throws {
        let minutes = (0...10).map { $0 * 60_000 as Int64 }
        let script = Script(series: [(DataPresenceTests.web, minutes, nil)])
        // At 15 min one sample is left to look at, exactly as old as the lookback.
        #expect(try !hasData("errors == 0", script, lastMatchAt: 840_000, now: 900_000))
    }

    @Test func aSeriesThatEndedIsNoData() throws {
        let script = Script(series: [(DataPresenceTests.web, seconds(0...101), 102_000)])
        #expect(try !hasData("errors > 5", script))
    }

    @Test func aSeriesThatEndedBeforeTheLastMatchIsNoDataToo() throws {
        // increase() goes on matching for its window while the container is dead already.
        let script = Script(series: [(DataPresenceTests.web, seconds(0...70), 71_000)])
        #expect(try !hasData("increase(errors[1m]) > 0", script))
    }

    @Test func aSuccessorUnderTheSameNameIsBelieved() throws {
        let after = DataPresenceTests.web.setting("id", to: "/docker/b")
        let script = Script(series: [
            (DataPresenceTests.web, seconds(0...101), 102_000), (after, seconds(103...110), nil),
        ])
        #expect(try hasData("errors > 5", script))
    }

    @Test func anAggregateIsNotBelievedWhenOneOfItsSeriesIsSilent() throws {
        let other = DataPresenceTests.web.setting("name", to: "db").setting("id", to: "/docker/c")
        let live = (DataPresenceTests.web, seconds(0...110), Int64?.none)
        let labels = Labels(["node": "n1"])
        #expect(
            try !hasData(
                "sum by (node) (errors) > 5", Script(series: [live, (other, seconds(0...90), nil)]), labels: labels))
        // A container that was removed on purpose is no reason to doubt the rest.
        #expect(
            try hasData(
                "sum by (node) (errors) > 5", Script(series: [live, (other, seconds(0...90), 91_000)]), labels: labels))
    }

    @Test func absentAndConstantsHaveNothingToMiss() throws {
        #expect(try hasData("absent(nothing)", Script(series: []), labels: .empty))
        #expect(try hasData("vector(1) > 0", Script(series: []), labels: .empty))
    }

    @Test func slowSeriesHaveMorePatience() throws {
        let script = Script(series: [(DataPresenceTests.web, [0, 30_000, 60_000, 90_000], nil)])
        #expect(try hasData("errors > 5", script, now: 150_000))
        #expect(try !hasData("errors > 5", script, now: 200_000))
    }
}
