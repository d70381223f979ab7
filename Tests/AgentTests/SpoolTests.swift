import Disk
import Synchronization
import Telemetry
import TestSupport
import Testing
import Wire

@testable import Agent

/// Batches wait on disk, in order, and what does not fit is given up in the right order and told.
@Suite struct SpoolTests {
    @Test func whatWaitsSurvivesARestartWithItsSequence() throws {
        let storage = SimulatedStorage(seed: 1)
        let clock = ManualClock()
        let first = try SpoolStage(storage, clock)
        for text in ["1", "2", "3"] { _ = first.spool.submit(SpoolStage.batch(text)) }
        first.worker.turn()
        let entry = try #require(first.next(.lines))
        first.spool.stored(entry, in: .lines, DeliveryMarks(synced: 1, archived: 1))
        first.worker.turn()
        let second = try SpoolStage(storage.survivors(of: .powerCut), clock)
        let next = try #require(second.next(.lines))
        #expect(next.sequence == 2)
        #expect(next.epoch == entry.epoch)
        #expect(try second.text(of: next) == "2")
        _ = second.spool.submit(SpoolStage.batch("4"))
        second.worker.turn()
        #expect(second.waiting(.lines) == 3)
    }

    @Test func nothingOfferedIsLostAndNoSequenceIsGivenTwice() throws {
        try SpoolFuzzer.runFromTable()
    }

    @Test func aFullSpoolGivesUpTheOldestLinesAndTellsOfThem() throws {
        let storage = SimulatedStorage(seed: 2)
        let clock = ManualClock()
        var policy = SpoolPolicy(freeBytesMinimum: 0)
        policy.bytesMaximum = 512 << 10
        let stage = try SpoolStage(storage, clock, policy: policy)
        var generator = SeededGenerator(seed: 3)
        stage.spool.submit(SampleBatch(groups: []), isUrgent: false)
        for _ in 0..<40 {
            var lines = LogLines(labels: Labels(["container": "c"]))
            lines.append(nanoseconds: 5, line: generator.bytes(30_000))
            _ = stage.spool.submit(LogBatch(streams: [lines]))
            stage.worker.turn()
        }
        let statistics = stage.spool.statistics
        #expect(statistics.givenUpLines > 0)
        #expect(statistics.bytesOnDisk.reduce(0, +) <= 640 << 10)
        // Samples and events are given up only when there are no lines left.
        #expect(stage.waiting(.samples) == 1)
        var told = 0
        var kept = 0
        while let entry = stage.next(.lines) {
            let batch = try #require(try stage.lines(of: entry))
            told += batch.losses.reduce(0) { $0 + $1.lines }
            kept += batch.lineCount
            #expect(batch.losses.allSatisfy { $0.reason == "spool full" })
            stage.spool.stored(entry, in: .lines, DeliveryMarks(synced: entry.sequence, archived: entry.sequence))
        }
        #expect(told + kept == 40)
        #expect(told == Int(statistics.givenUpLines))
    }

    @Test func aFullDiskKeepsLinesAndEventsWaitingAndGoesOnByItself() throws {
        var plan = SimulatedStorage.Plan()
        plan.capacityBytes = 1 << 20
        let storage = SimulatedStorage(seed: 4, plan: plan)
        let stage = try SpoolStage(storage, ManualClock())
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<30 {
            var lines = LogLines(labels: Labels(["container": "c"]))
            lines.append(nanoseconds: 5, line: generator.bytes(60_000))
            _ = stage.spool.submit(LogBatch(streams: [lines]))
            stage.worker.turn()
        }
        let before = stage.waiting(.lines)
        #expect(before < 30)
        #expect(!stage.spool.isAcceptingLines)
        storage.setCapacity(1 << 30)
        stage.worker.turn()
        #expect(stage.waiting(.lines) == 30)
        #expect(stage.spool.isAcceptingLines)
    }

    @Test func aFullDiskIsToldOnceAndSoIsItsEnd() throws {
        var plan = SimulatedStorage.Plan()
        plan.capacityBytes = 1 << 20
        let storage = SimulatedStorage(seed: 4, plan: plan)
        let told = Mutex<[AgentNotice]>([])
        let notices = Notices { notice in told.withLock { $0.append(notice) } }
        let stage = try SpoolStage(storage, ManualClock(), notices: notices)
        func fill(_ turns: Int) {
            for number in 0..<turns {
                var group = SampleGroup(target: Labels(["job": "j\(number)"]), intervalMilliseconds: 1)
                for series in 0..<500 {
                    group.append(Labels(["__name__": "m\(number)", "s": "\(series)"]), milliseconds: 1, value: 1)
                }
                stage.spool.submit(SampleBatch(groups: [group]), isUrgent: false)
                stage.worker.turn()
            }
        }
        // More than goes to the server from memory, which here is nowhere.
        fill(1_600)
        let lost = Int(stage.spool.statistics.droppedBatches)
        #expect(lost > 10)
        #expect(told.withLock { $0 }.map(\.level) == [.error])
        storage.setCapacity(1 << 30)
        fill(1)
        let texts = told.withLock { $0 }.map(\.text)
        #expect(texts.count == 2 && texts.last?.contains("\(lost) batches of samples were lost") == true, "\(texts)")
    }

    @Test func aDamagedLedgerBeginsANewEpochAndStillSendsWhatWaits() throws {
        let storage = SimulatedStorage(seed: 6)
        let clock = ManualClock()
        let first = try SpoolStage(storage, clock)
        _ = first.spool.submit(SpoolStage.batch("1"))
        first.worker.turn()
        let old = try #require(first.next(.lines))
        clock.advance(milliseconds: 5_000)
        let survivors = storage.survivors(of: .kill)
        survivors.flipBit(3, ofByte: 9, in: "spool/ledger")
        let second = try SpoolStage(survivors, clock)
        #expect(try second.text(of: try #require(second.next(.lines))) == "1")
        second.spool.stored(old, in: .lines, DeliveryMarks(synced: 1, archived: 1))
        _ = second.spool.submit(SpoolStage.batch("2"))
        second.worker.turn()
        let new = try #require(second.next(.lines))
        #expect(new.epoch > old.epoch)
        #expect(new.sequence == 1)
    }

    @Test func recordsAndLedgersSurviveTheirEncoding() throws {
        var ledger = SpoolLedger(epoch: 7)
        ledger[.lines, .backlog] = 42
        #expect(try SpoolLedger(decoding: ledger.encoded) == ledger)
        let record = SpoolRecord(
            SpoolRecord.Header(lane: .live, epoch: 1, sequence: 2, segmentStart: 3, nanoseconds: 4),
            summary: SpoolRecord.summary(of: SpoolStage.batch("x")),
            frames: AgentFrames(declarations: [1, 2], data: [3]))
        #expect(try record.encoded.withUnsafeBytes { try SpoolRecord(decoding: $0) } == record)
        let bytes = record.encoded
        for length in 0..<bytes.count {
            #expect(throws: ByteError.self) {
                try Array(bytes[..<length]).withUnsafeBytes { _ = try SpoolRecord(decoding: $0) }
            }
        }
    }
}
