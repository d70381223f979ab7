import Disk
import Telemetry
import TestSupport
import Testing

@testable import TSDB

/// The database with its own threads on the real disk: many senders, readers beside them.
struct ConcurrencyTests {
    private let start: Int64 = 1_700_000_000_000

    private func pair(_ sender: Int, _ tick: Int) -> SampleBatch {
        var groups: [SampleGroup] = []
        for target in ["left", "right"] {
            var group = SampleGroup(target: Labels(["job": target, "sender": "\(sender)"]))
            group.append(
                .series("m", job: target, instance: "\(sender)"), milliseconds: start + Int64(tick) * 1000,
                value: Double(tick))
            groups.append(group)
        }
        let identity = DeliveryIdentity.Sender(agent: "\(sender)", epoch: 1, lane: .live)
        return SampleBatch(groups: groups, delivery: DeliveryIdentity(sender: identity, sequence: UInt64(tick + 1)))
    }

    @Test func manySendersAndReadersAtOnce() async throws {
        let folder = try TemporaryFolder()
        var options = MetricDatabaseOptions()
        options.rowsPerChunk = 16
        options.rowsSealedAlong = 12
        options.blocksPerMerge = 4
        options.reserveBytes = 1 << 16
        let clock = ManualClock()
        let database = try MetricDatabase.open(
            storage: SystemStorage(), folder: folder.path, options: options, wallClock: clock)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for sender in 0..<6 {
                group.addTask {
                    for tick in 0..<60 {
                        let receipt = try await database.append(pair(sender, tick))
                        guard receipt.accepted == 2, receipt.marks?.synced == UInt64(tick + 1) else {
                            throw HarnessError("receipt \(receipt)")
                        }
                    }
                }
            }
            for _ in 0..<2 {
                group.addTask {
                    for _ in 0..<30 {
                        let context = QueryContext(clock: clock)
                        let found = try DatabaseHarness.samples(of: database, [], range: .all, in: context)
                        // A batch is seen whole or not at all.
                        for sender in 0..<6 {
                            let left = found[.series("m", job: "left", instance: "\(sender)")]
                            let right = found[.series("m", job: "right", instance: "\(sender)")]
                            guard left == right else { throw HarnessError("half a batch of sender \(sender)") }
                        }
                        await Task.yield()
                    }
                }
            }
            try await group.waitForAll()
        }
        try database.close()
        let again = try MetricDatabase.open(
            storage: SystemStorage(), folder: folder.path, options: options, wallClock: clock)
        let found = try DatabaseHarness.samples(of: again, [], range: .all, in: QueryContext(clock: clock))
        #expect(found.count == 12 && found.values.allSatisfy { $0.count == 60 })
        #expect(try await again.append(pair(0, 59)).isDuplicate)
        try again.seal()
        #expect(again.ingestHealth == .ready && again.findings.isEmpty)
        try again.close()
    }

    @Test func aFailedSyncStopsWritingAndLeavesReading() throws {
        var plan = SimulatedStorage.Plan()
        plan.failingSync = 12
        var harness = try DatabaseHarness(storage: SimulatedStorage(seed: 3, plan: plan))
        var accepted = 0
        var refused = 0
        for tick in 0..<20 {
            do {
                _ = try harness.append(.scrape([(.series("a"), 1)], at: start + Int64(tick)))
                accepted += 1
            } catch is AppendRefusal {
                refused += 1
            }
        }
        #expect(accepted > 0 && refused > 0)
        guard case .failed = harness.database.ingestHealth else {
            Issue.record("health is \(harness.database.ingestHealth)")
            return
        }
        #expect(harness.database.queryHealth == .ready)
        #expect(try harness.samples()[.series("a")]?.count == accepted)
        try harness.restart()
        #expect(harness.database.ingestHealth == .ready)
        #expect(try harness.samples()[.series("a")]?.count ?? 0 >= accepted)
    }
}
