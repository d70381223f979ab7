import Disk
import Glibc
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import Agent

/// The tailer over real files: rotation, truncation, restarts, last words, back-pressure. Time moves by hand.
@Suite struct LogTailerTests {
    @Test func linesAreReadOnceInOrder() {
        let stage = TailStage()
        stage.begin()
        stage.write("1", "2")
        stage.pass()
        stage.pass()
        stage.write("3")
        stage.pass()
        #expect(stage.sink.texts == ["1", "2", "3"])
    }

    @Test func afterARestartItGoesOnExactlyBehindWhatWasAcknowledged() {
        let stage = TailStage()
        stage.begin()
        stage.write("1", "2")
        stage.pass()
        stage.settleAll()
        stage.write("3")
        stage.pass()
        // "3" was read and never acknowledged.
        stage.tailer?.checkpoint()
        stage.restart()
        stage.write("4")
        stage.pass()
        #expect(stage.sink.texts == ["1", "2", "3", "3", "4"])
    }

    @Test func twoRotationsBetweenTwoLooksLoseNothing() {
        let stage = TailStage()
        stage.begin()
        stage.write("1")
        stage.pass()
        stage.write("2")
        stage.rotate(0, to: 1)
        stage.write("3")
        stage.rotate(1, to: 2)
        stage.rotate(0, to: 1)
        stage.write("4")
        stage.pass()
        stage.pass(milliseconds: 2_000)
        stage.pass(milliseconds: 2_000)
        #expect(stage.sink.texts == ["1", "2", "3", "4"])
        stage.write("5")
        stage.pass()
        #expect(stage.sink.texts.last == "5")
    }

    @Test func rotationsWhileTheAgentIsAwayAreCaughtUp() {
        let stage = TailStage()
        stage.begin()
        stage.write("1")
        stage.pass()
        stage.settleAll()
        stage.tailer = nil
        stage.write("2")
        stage.rotate(0, to: 1)
        stage.write("3")
        stage.rotate(1, to: 2)
        stage.rotate(0, to: 1)
        stage.write("4")
        stage.restart()
        stage.pass()
        #expect(stage.sink.texts == ["1", "2", "3", "4"])
        #expect(stage.sink.losses.isEmpty)
    }

    @Test func aFileThatWasRotatedAwayForGoodIsToldAsALossAndTheRestIsRead() {
        let stage = TailStage()
        stage.begin()
        stage.write("1")
        stage.pass()
        stage.settleAll()
        stage.tailer = nil
        // The log goes to a new file; the old one is held only so that its inode is not given again in this test.
        let held = open("\(stage.scratch.path)/\(stage.log)", O_RDONLY)
        unlink("\(stage.scratch.path)/\(stage.log)")
        stage.write("8")
        stage.rotate(0, to: 1)
        stage.write("9")
        stage.restart()
        stage.pass()
        #expect(stage.sink.texts == ["1", "8", "9"])
        #expect(stage.sink.losses.count == 1)
        close(held)
    }

    @Test func aTruncatedFileIsReadFromItsStartAsANewGeneration() {
        let stage = TailStage()
        stage.begin()
        stage.write("1", "2")
        stage.pass()
        truncate("\(stage.scratch.path)/\(stage.log)", 0)
        stage.write("3")
        stage.pass()
        #expect(stage.sink.texts == ["1", "2", "3"])
        let origins = stage.sink.state.withLock { $0.batches }.flatMap { $0.batch.streams }.compactMap(\.origin)
        #expect(origins.map(\.generation) == [0, 1])
        #expect(Set(origins.map(\.source)).count == 1)
    }

    @Test func aFileCutAndGrownBeyondTheOldPlaceIsNoticedByTheByteInFront() {
        let stage = TailStage()
        stage.begin()
        stage.write("1")
        stage.pass()
        truncate("\(stage.scratch.path)/\(stage.log)", 0)
        stage.write("a much longer line than the one that was there before")
        stage.pass()
        #expect(stage.sink.texts.last == "a much longer line than the one that was there before")
    }

    @Test func theLastLineWithoutAnEndIsKeptEvenWhenTheFileIsDeletedWithIt() {
        let stage = TailStage()
        stage.begin()
        stage.write("1")
        stage.pass()
        stage.scratch.append(
            #"{"log":"last words","stream":"stderr","time":"2026-11-23T08:33:03Z"}"# + "\n", to: stage.log)
        unlink("\(stage.scratch.path)/\(stage.log)")
        stage.registry.removeFromEngine(stage.id, atNanoseconds: stage.clock.nowNanoseconds)
        stage.pass()
        #expect(stage.sink.texts == ["1", "last words"])
    }

    @Test func aRecordThatIsNotWholeYetIsReadWhenItIs() {
        let stage = TailStage()
        stage.begin()
        let whole = TailStage.record("whole")
        stage.scratch.append(String(whole.prefix(20)), to: stage.log)
        stage.pass()
        #expect(stage.sink.texts.isEmpty)
        stage.scratch.append(String(whole.dropFirst(20)), to: stage.log)
        stage.pass()
        #expect(stage.sink.texts == ["whole"])
    }

    @Test func whatIsNoRecordIsKeptAsItIs() {
        let stage = TailStage()
        stage.begin()
        stage.scratch.append(#"{"log":"torn {"log":"x"}"# + "\n", to: stage.log)
        stage.write("next")
        stage.pass()
        #expect(stage.sink.texts.contains(#"{"log":"torn {"log":"x"}"#))
        #expect(stage.sink.texts.contains("next"))
    }

    @Test func withoutRoomLinesStayInTheirFile() {
        let stage = TailStage()
        stage.begin()
        stage.sink.state.withLock { $0.isAccepting = false }
        stage.write("1", "2")
        stage.pass()
        #expect(stage.sink.texts.isEmpty)
        stage.sink.state.withLock { $0.isAccepting = true }
        stage.pass()
        #expect(stage.sink.texts == ["1", "2"])
    }

    @Test func atTheFirstStartOnAHostOnlyTheEndOfOldLogsIsRead() {
        let stage = TailStage()
        for number in 0..<100 { stage.write("old \(number)") }
        stage.begin(knownBefore: false)
        stage.pass()
        #expect(stage.sink.texts.count < 5)
        #expect(stage.sink.texts.last == "old 99")
    }

    @Test func positionsSurviveAndDamagedOnesAreRefused() throws {
        var positions = try TailPositions(decoding: nil)
        let place = TailPositions.Place(
            log: "c", file: FileIdentity(device: 1, inode: 2, birthNanoseconds: 3))
        positions.submitted(1, [(place, TailPositions.Reach(generation: 0, offset: 10))])
        positions.submitted(2, [(place, TailPositions.Reach(generation: 0, offset: 20))])
        // The second is acknowledged first: nothing moves before the first is.
        positions.settled(2)
        #expect(positions.reaches.isEmpty)
        positions.settled(1)
        #expect(positions.reaches[place]?.offset == 20)
        let bytes = positions.encoded
        #expect(try TailPositions(decoding: bytes).reaches == positions.reaches)
        for index in bytes.indices {
            var damaged = bytes
            damaged[index] ^= 0x10
            #expect(throws: ByteError.self) { try TailPositions(decoding: damaged) }
        }
    }
}
