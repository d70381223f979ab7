import Telemetry
import TestSupport
import Testing

@testable import Agent

/// Which batch is sent next, and which lane a new one takes.
@Suite struct OutboxTests {
    private static func entry(_ sequence: UInt64, _ lane: DeliveryIdentity.Lane, position: UInt64) -> Outbox.Entry {
        Outbox.Entry(
            position: position, epoch: 1, lane: lane, sequence: sequence, segmentStart: 1, nanoseconds: 0, bytes: 10,
            ticket: position)
    }

    @Test func whileTheServerIsAwayNewBatchesJoinTheBacklogAndLiveOnesGoAheadOfItAfterwards() {
        var outbox = Outbox(.samples)
        #expect(outbox.laneForNew == .live)
        outbox.add(Self.entry(1, .live, position: 1))
        outbox.failed()
        #expect(outbox.laneForNew == .backlog)
        outbox.add(Self.entry(1, .backlog, position: 2))
        // The batch that was tried is tried again first, because its successors must not overtake it in its lane.
        #expect(outbox.next?.lane == .live)
        #expect(outbox.stored(.live, epoch: 1, DeliveryMarks(synced: 1, archived: 1)).map(\.position) == [1])
        #expect(outbox.laneForNew == .live)
        outbox.add(Self.entry(2, .live, position: 3))
        #expect(outbox.next?.position == 3)
        _ = outbox.stored(.live, epoch: 1, DeliveryMarks(synced: 2, archived: 2))
        #expect(outbox.next?.position == 2)
    }

    @Test func whatIsStoredButNotArchivedIsKeptAndNotSentAgain() {
        var outbox = Outbox(.lines)
        for number in 1...3 as ClosedRange<UInt64> { outbox.add(Self.entry(number, .live, position: number)) }
        #expect(outbox.stored(.live, epoch: 1, DeliveryMarks(synced: 2, archived: 1)).count == 2)
        #expect(outbox.next?.sequence == 3)
        #expect(outbox.neededFrom == 2)
        #expect(outbox.archived(epoch: 1)[0] == 1)
        #expect(outbox.stored(.live, epoch: 1, DeliveryMarks(synced: 3, archived: 3)).count == 1)
        #expect(outbox.neededFrom == nil)
        #expect(outbox.archived(epoch: 1)[0] == 3)
    }

    @Test func whatWaitsBehindABatchOfAnOlderEpochIsStillNeeded() {
        var outbox = Outbox(.lines)
        var old = Self.entry(9, .live, position: 1)
        old.epoch = 0
        outbox.add(old)
        outbox.add(Self.entry(1, .live, position: 2))
        #expect(outbox.archived(epoch: 1)[0] == 0)
    }

    @Test func manyWaitingLiveBatchesAreABacklog() {
        var outbox = Outbox(.samples)
        for number in 1...UInt64(Outbox.liveEntriesMaximum) { outbox.add(Self.entry(number, .live, position: number)) }
        #expect(outbox.laneForNew == .backlog)
        #expect(Outbox(.events).laneForNew == .event)
    }

    @Test func givingUpForgetsOnlyWhatLiesInFront() {
        var outbox = Outbox(.lines)
        for number in 1...5 as ClosedRange<UInt64> { outbox.add(Self.entry(number, .live, position: number * 10)) }
        #expect(outbox.giveUp(before: 31).map(\.sequence) == [1, 2, 3])
        #expect(outbox.next?.sequence == 4)
        #expect(outbox.pendingBytes == 20)
    }

    @Test func theQueueToGiveUpIsLinesThenSamplesThenEvents() {
        var policy = SpoolPolicy(freeBytesMinimum: 100)
        policy.bytesMaximum = 1000
        #expect(policy.victim(sizes: [1, 1, 1], canGiveUp: [true, true, true], availableBytes: 1000) == nil)
        #expect(policy.victim(sizes: [500, 500, 500], canGiveUp: [true, true, true], availableBytes: 1000) == .lines)
        #expect(
            policy.victim(sizes: [500, 500, 500], canGiveUp: [true, true, false], availableBytes: 1000) == .samples)
        #expect(policy.victim(sizes: [1, 1, 1], canGiveUp: [true, false, false], availableBytes: 99) == .events)
        #expect(policy.victim(sizes: [1, 1, 1], canGiveUp: [false, false, false], availableBytes: 0) == nil)
        #expect(!policy.isAcceptingLines(sizes: [0, 0, 900], availableBytes: 1000))
    }

    @Test func triesAreSpreadAndNeverFurtherApartThanTheyMay() {
        var generator = SeededGenerator(seed: 1)
        var backoff = Backoff(firstMilliseconds: 100, lastMilliseconds: 1_000)
        let pauses = (0..<50).map { _ in backoff.next(using: &generator) }
        #expect(pauses.allSatisfy { (25...1_000).contains($0) })
        #expect(Set(pauses.suffix(20)).count > 10)
        #expect(backoff.next(atLeastSeconds: 7, using: &generator) >= 7_000)
        #expect(backoff.next(atLeastSeconds: 1_000_000, using: &generator) <= 450_000)
        let asked = (0..<50).map { _ in backoff.next(atLeastSeconds: 60, using: &generator) }
        #expect(asked.allSatisfy { (60_000...90_000).contains($0) })
        #expect((asked.max() ?? 0) - (asked.min() ?? 0) > 15_000)
        backoff.reset()
        #expect(backoff.next(using: &generator) <= 100)
    }
}
