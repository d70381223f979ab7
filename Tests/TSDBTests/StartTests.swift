import Disk
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import TSDB

/// Appends are taken while the log is read back: everything is there afterwards, once, and no query sees a part of it.
struct StartTests {
    private let time: Int64 = 1_700_000_000_000

    private func sender(_ agent: String) -> DeliveryIdentity.Sender {
        DeliveryIdentity.Sender(agent: agent, epoch: 1, lane: .live)
    }

    private func delivery(_ agent: String, _ sequence: UInt64, _ value: Double) -> SampleBatch {
        var batch = SampleBatch.scrape([(.series(agent), value)], at: time + Int64(sequence) * 1000)
        batch.delivery = DeliveryIdentity(sender: sender(agent), sequence: sequence)
        return batch
    }

    /// A database of twenty records, opened anew and not read yet.
    private func starting(_ options: MetricDatabaseOptions = DatabaseHarness.smallOptions) throws -> DatabaseHarness {
        var harness = try DatabaseHarness(options: options)
        for sequence in 1...10 as ClosedRange<UInt64> {
            _ = try harness.append(delivery("left", sequence, Double(sequence)))
            _ = try harness.append(delivery("right", sequence, Double(sequence)))
        }
        harness.options.reading = .stepwise
        try harness.restart()
        return harness
    }

    @Test func whatComesMeanwhileIsThereOnceAndNoQuerySeesAPart() throws {
        let harness = try starting()
        #expect(try !harness.database.readBack(records: 7))
        #expect(harness.database.ingestHealth == .ready)
        guard case .starting(let reason) = harness.database.queryHealth else {
            Issue.record("health is \(harness.database.queryHealth)")
            return
        }
        #expect(reason.contains("% so far"))
        #expect(throws: QueryInterruption.self) { try harness.samples() }
        #expect(throws: QueryInterruption.self) { try harness.database.seal() }
        // One that its sender repeats for want of an answer, and the next.
        let repeated = try harness.append(delivery("left", 10, 10))
        #expect(repeated.marks?.synced == 10)
        #expect(try harness.append(delivery("left", 10, 10)).isDuplicate)
        #expect(try harness.append(delivery("left", 11, 11)).accepted == 1)
        // A series of now, and one of then without a delivery.
        #expect(
            try harness.append(.scrape([(.series("new"), 1), (.series("right"), 3)], at: time + 3000)).accepted == 2)
        while try !harness.database.readBack(records: 7) {}
        #expect(harness.database.queryHealth == .ready)
        let found = try harness.samples()
        #expect(found[.series("left")]?.count == 11)
        #expect(found[.series("right")]?.count == 10)
        #expect(found[.series("new")]?.count == 1)
        #expect(try harness.append(delivery("left", 11, 11)).isDuplicate)
        #expect(try harness.append(delivery("right", 9, 9)).isDuplicate)
    }

    @Test func ofTwoValuesTheFirstStaysAndTheOtherIsCounted() throws {
        var harness = try starting()
        #expect(try !harness.database.readBack(records: 1))
        #expect(try harness.append(.scrape([(.series("left"), 99)], at: time + 4000)).rejections.isEmpty)
        // This one the head of the time before knows about.
        #expect(try harness.append(.scrape([(.series("left"), 98)], at: time + 4000)).rejections.count == 1)
        while try !harness.database.readBack(records: 100) {}
        #expect(try harness.samples()[.series("left")]?[time + 4000] == Double(4).bitPattern)
        #expect(harness.database.counters.samplesHidden.load(ordering: .relaxed) == 1)
        harness.options.reading = .beforeReturning
        try harness.restart()
        #expect(try harness.samples()[.series("left")]?[time + 4000] == Double(4).bitPattern)
    }

    @Test func aSegmentBegunMeanwhileDoesNotCostTheMarksOfThoseWhoAreSilent() throws {
        var options = DatabaseHarness.smallOptions
        options.segmentBytes = 1 << 10
        var harness = try starting(options)
        #expect(try !harness.database.readBack(records: 1))
        let segments = harness.database.log.status.firstPosition
        for sequence in 11...60 as ClosedRange<UInt64> {
            _ = try harness.append(delivery("left", sequence, Double(sequence) * 0.37))
        }
        while try !harness.database.readBack(records: 100) {}
        // Everything to a block, the log cut behind it.
        for sequence in 61...80 as ClosedRange<UInt64> {
            _ = try harness.append(delivery("left", sequence, Double(sequence)))
            harness.database.maintain()
        }
        #expect(harness.database.log.status.firstPosition > segments)
        try harness.restart()
        while try !harness.database.readBack(records: 100) {}
        #expect(try harness.append(delivery("right", 10, 10)).isDuplicate)
        #expect(try harness.samples()[.series("left")]?.count == 80)
    }

    @Test func aCrashInBetweenLeavesNothingButALog() throws {
        let harness = try starting()
        #expect(try !harness.database.readBack(records: 3))
        for sequence in 11...20 as ClosedRange<UInt64> {
            _ = try harness.append(delivery("left", sequence, Double(sequence)))
        }
        var options = harness.options
        for reading in [MetricDatabaseOptions.Reading.stepwise, .beforeReturning] {
            options.reading = reading
            let database = try MetricDatabase.open(
                storage: harness.storage.survivors(of: .powerCut), folder: DatabaseHarness.folder, options: options,
                wallClock: harness.clock)
            while try !database.readBack(records: 2) {}
            let found = try DatabaseHarness.samples(of: database, [], range: .all, in: harness.context)
            #expect(found[.series("left")]?.count == 20 && found[.series("right")]?.count == 10)
            #expect(database.findings.isEmpty)
        }
    }

    @Test func sendersNoticeNothingButTheirAnswers() async throws {
        let folder = try TemporaryFolder()
        let clock = ManualClock()
        var options = MetricDatabaseOptions()
        options.reserveBytes = 1 << 16
        options.aheadMilliseconds = .max / 4
        let first = try MetricDatabase.open(
            storage: SystemStorage(), folder: folder.path, options: options, wallClock: clock)
        for sequence in 1...200 as ClosedRange<UInt64> {
            _ = try await first.append(delivery("0", sequence, Double(sequence)))
        }
        try first.close()
        options.reading = .besideAppends
        let database = try MetricDatabase.open(
            storage: SystemStorage(), folder: folder.path, options: options, wallClock: clock)
        let counts = try await withThrowingTaskGroup(of: (Int, Int).self) { group in
            for number in 0..<6 {
                group.addTask {
                    var sequence: UInt64 = number == 0 ? 200 : 0
                    let before = sequence
                    while sequence < before + 40 || database.queryHealth != .ready {
                        sequence += 1
                        let receipt = try await database.append(delivery("\(number)", sequence, Double(sequence)))
                        guard receipt.accepted == 1 else { throw HarnessError("receipt \(receipt)") }
                    }
                    return (number, Int(sequence))
                }
            }
            return try await group.reduce(into: [Int: Int]()) { $0[$1.0] = $1.1 }
        }
        #expect(database.queryHealth == .ready)
        for _ in 0..<2 {
            let found = try DatabaseHarness.samples(of: database, [], range: .all, in: QueryContext(clock: clock))
            for (number, count) in counts { #expect(found[.series("\(number)")]?.count == count) }
            try database.seal()
        }
        try database.close()
    }

    @Test func aStartThatIsStoppedEnds() async throws {
        let folder = try TemporaryFolder()
        var options = MetricDatabaseOptions()
        options.reading = .besideAppends
        options.reserveBytes = 1 << 16
        for _ in 0..<5 {
            let database = try MetricDatabase.open(
                storage: SystemStorage(), folder: folder.path, options: options, wallClock: ManualClock())
            let answer = Task { try await database.append(.scrape([(.series("a"), 1)], at: time)) }
            try database.close()
            _ = try? await answer.value
            await #expect(throws: AppendRefusal.self) {
                try await database.append(.scrape([(.series("a"), 1)], at: time))
            }
        }
    }
}
