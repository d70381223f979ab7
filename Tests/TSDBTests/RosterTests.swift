import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import TSDB

/// What is resolved once for a sender that lists the same series again and again.
@Suite struct RosterTests {
    private static let target = Labels(["job": "node", "instance": "a"])

    /// A sender that keeps its list and learns the ids of its series.
    private struct Sender {
        var series: [SeriesReference]

        init(_ names: some Sequence<String>) {
            series = names.map { .labels(.series($0)) }
        }

        func group(at time: Int64, of indexes: [UInt32]? = nil, _ value: (UInt32) -> Double) -> SampleGroup {
            var group = SampleGroup(target: RosterTests.target)
            (group.series, group.keepsSeries) = (series, true)
            group.seriesIndexes = indexes ?? Array(0..<UInt32(series.count))
            group.timesMilliseconds = [Int64](repeating: time, count: group.seriesIndexes.count)
            group.values = group.seriesIndexes.map(value)
            return group
        }

        mutating func learn(_ receipt: AppendReceipt) {
            guard let ids = receipt.seriesIDs.first, !ids.isEmpty else { return }
            series = zip(ids, series).map { .known($0, $1.labels) }
        }
    }

    private func isKnown(_ sender: Sender, in harness: DatabaseHarness) -> Bool {
        let group = sender.group(at: 0) { _ in 0 }
        return harness.database.head.index.withLock { $0.roster(of: group) != nil }
    }

    /// A sender whose list the head knows, after samples of the values at 1000, 2000 and 3000.
    private func known(_ sender: Sender, in harness: DatabaseHarness, from time: Int64 = 1000) throws -> Sender {
        var sender = sender
        for time in stride(from: time, to: time + 3000, by: 1000) {
            sender.learn(try harness.append(SampleBatch(groups: [sender.group(at: time) { Double($0) }])))
        }
        #expect(isKnown(sender, in: harness))
        return sender
    }

    @Test func aListIsKnownByItsArrayAndNotByWhatIsInIt() throws {
        let harness = try DatabaseHarness()
        let sender = try known(Sender(["x", "y", "z"]), in: harness)
        var equal = Sender([])
        equal.series = sender.series.map { $0 }
        #expect(!isKnown(equal, in: harness))
        #expect(!isKnown(Sender(["x", "y", "z"]), in: harness))
    }

    @Test func wholeRowsPartsOfThemAndTwoAtOneTimeAreStoredAlike() throws {
        let harness = try DatabaseHarness()
        let sender = try known(Sender(["x", "y", "z"]), in: harness)
        _ = try harness.append(SampleBatch(groups: [sender.group(at: 4000) { Double($0) + 0.5 }]))
        _ = try harness.append(SampleBatch(groups: [sender.group(at: 5000, of: [2, 0]) { Double($0) * 2 }]))
        // Of one series twice in a batch the first stays; the other is told.
        let twice = try harness.append(
            SampleBatch(groups: [
                sender.group(at: 6000) { Double($0) }, sender.group(at: 6000, of: [1, 2]) { $0 == 1 ? 1 : 9 },
            ]))
        #expect(twice.accepted == 3)
        #expect(twice.rejections.map(\.labels) == [.series("z")])
        let found = try harness.samples()
        let z: [Int64: Double] = [1000: 2, 2000: 2, 3000: 2, 4000: 2.5, 5000: 4, 6000: 2]
        #expect(found[.series("z")] == z.mapValues(\.bitPattern))
        #expect(found[.series("y")]?[5000] == nil)
        #expect(found[.series("y")]?[6000] == 1.0.bitPattern)
    }

    @Test func lateOnesAndOnesTooFarAheadAreJudgedAsAlways() throws {
        let harness = try DatabaseHarness()
        harness.clock.advance(milliseconds: 10_000 - harness.clock.nowMilliseconds % 10_000)
        let now = harness.clock.nowMilliseconds
        let sender = try known(Sender(["x", "y"]), in: harness, from: now)
        let again = try harness.append(SampleBatch(groups: [sender.group(at: now) { Double($0) }]))
        #expect(again.accepted == 2 && again.rejections.isEmpty)
        let other = try harness.append(SampleBatch(groups: [sender.group(at: now) { Double($0) + 7 }]))
        #expect(other.rejections.map(\.reason) == [.duplicate, .duplicate])
        let ahead = try harness.append(SampleBatch(groups: [sender.group(at: now + 3_600_000) { Double($0) }]))
        #expect(ahead.rejections.map(\.reason) == [.tooFarAhead, .tooFarAhead])
    }

    @Test func anEventsListDoesNotPushOutTheTicks() throws {
        let harness = try DatabaseHarness()
        let ticks = try known(Sender(["x", "y", "z"]), in: harness)
        for time in stride(from: Int64(10_000), to: 14_000, by: 1000) {
            var event = Sender(["x", "y"])
            for step in Int64(0)..<2 {
                event.learn(
                    try harness.append(SampleBatch(groups: [event.group(at: time + step * 100) { Double($0) }])))
            }
            _ = try harness.append(SampleBatch(groups: [ticks.group(at: time + 500) { Double($0) }]))
            #expect(isKnown(ticks, in: harness))
        }
    }

    @Test func seriesThatWereForgottenAreResolvedAnew() throws {
        let harness = try DatabaseHarness()
        var sender = try known(Sender(["x", "y"]), in: harness)
        for _ in 0..<4 { try harness.database.seal() }
        #expect(harness.database.head.index.withLock(\.series.count) == 0)
        #expect(!isKnown(sender, in: harness))
        _ = try harness.append(SampleBatch(groups: [Sender(["other"]).group(at: 9000) { _ in 5 }]))
        for time in stride(from: Int64(10_000), to: 13_000, by: 1000) {
            sender.learn(try harness.append(SampleBatch(groups: [sender.group(at: time) { Double($0) }])))
        }
        let found = try harness.samples(range: TimeRange(startMilliseconds: 9000, endMilliseconds: 20_000))
        #expect(found[.series("x")]?.values.allSatisfy { $0 == 0.0.bitPattern } == true)
        #expect(found[.series("y")]?.values.allSatisfy { $0 == 1.0.bitPattern } == true)
        #expect(found[.series("other")] == [9000: 5.0.bitPattern])
    }
}
