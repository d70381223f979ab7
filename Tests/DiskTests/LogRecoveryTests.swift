internal import Disk
internal import TestSupport
internal import Testing

/// What an operator finds after damage, and is told.
@Suite struct LogRecoveryTests {
    let storage = SimulatedStorage(seed: 1)
    let first = "wal/00000000000000000001.segment"

    func open(segmentBytes: UInt64 = 1 << 20) throws -> SegmentedLog {
        try SegmentedLog(folder: "wal", in: storage, options: .init(segmentBytes: segmentBytes, growthBytes: 1024))
    }

    /// Ten records of 100 bytes, each in a batch of its own: frame n lies at 32 + 128 n.
    func fill(segmentBytes: UInt64 = 1 << 20) throws {
        let log = try open(segmentBytes: segmentBytes)
        for number in 0..<10 {
            _ = try log.append(kind: 1, [UInt8](repeating: UInt8(number), count: 100))
            try log.sync()
        }
    }

    @Test func preallocatedRoomIsNoDamage() throws {
        try fill()
        #expect(storage.bytes(of: first)?.count == 2048)
        let log = try open()
        #expect(log.recovery.isClean)
        #expect("\(log.recovery)" == "nothing was damaged")
        #expect(log.endPosition == LogPosition(11))
    }

    @Test func aFlippedBitLosesOneFrameAndIsTold() throws {
        try fill()
        storage.flipBit(3, ofByte: 32 + 128 * 4 + 60, in: first)
        let log = try open()
        #expect(log.recovery.framesLost == 1)
        #expect(
            "\(log.recovery)" == "segment \(first) is damaged from byte 544 to 672: 1 frame is lost; "
                + "everything before and behind was kept")
        let replay = try log.read(from: .first) { frame in
            #expect(frame.lostBefore == (frame.position == LogPosition(6) ? 1 : 0))
            return true
        }
        #expect(replay.frames == 9)
        #expect(replay.framesLost == 1)
        #expect(replay.damage.map(\.bytes) == [544..<672])
        #expect(try log.append(kind: 1, [1]) == LogPosition(11))
        #expect(log.segmentCount == 2, "nothing more is written to a damaged segment")
    }

    @Test func aTornTailIsCut() throws {
        try fill()
        let bytes = try #require(storage.bytes(of: first))
        storage.replaceBytes(of: first, with: Array(bytes[..<(32 + 128 * 9 + 50)]))
        let log = try open()
        #expect(log.recovery.tornBytes == 50)
        #expect(log.recovery.framesLost == 0)
        #expect(log.endPosition == LogPosition(10))
        #expect(storage.bytes(of: first)?.count == 32 + 128 * 9)
    }

    @Test func aDamagedHeaderSetsTheSegmentAsideAndTheLogGoesOn() throws {
        try fill(segmentBytes: 400)
        let segments = try storage.list("wal").map(\.name)
        #expect(segments.count > 2)
        // Header and first frame: then nothing tells any more what the salt was.
        for byte in [9, 40] { storage.flipBit(0, ofByte: byte, in: "wal/\(segments[1])") }
        let log = try open(segmentBytes: 400)
        #expect(log.recovery.quarantined == ["wal/\(segments[1]).damaged"])
        #expect(try storage.list("wal").map(\.name).contains("\(segments[1]).damaged"))
        let replay = try log.read(from: .first) { _ in true }
        #expect(replay.framesLost == 3)
        #expect(replay.frames == 7)
        #expect(try open(segmentBytes: 400).recovery.isClean)
    }

    @Test func aFlippedBitAnywhereInAHeaderCostsNothing() throws {
        try fill(segmentBytes: 400)
        let segments = try storage.list("wal").map { "wal/\($0.name)" }
        for segment in [segments[1], segments[segments.count - 1]] {
            for byte in 0..<SegmentHeader.byteCount {
                storage.flipBit(byte % 8, ofByte: byte, in: segment)
                let log = try open(segmentBytes: 400)
                #expect(log.recovery.mended == [segment], "byte \(byte)")
                #expect(log.recovery.repairs.contains { $0.contains(segment) && $0.contains("nothing of it is lost") })
                let replay = try log.read(from: .first) { _ in true }
                #expect(replay.frames == 10 && replay.framesLost == 0, "byte \(byte)")
                #expect(try open(segmentBytes: 400).recovery.isClean, "byte \(byte)")
            }
        }
        // The whole header, as a device that lost a sector gives it back: zeros.
        for byte in 0..<SegmentHeader.byteCount {
            let old = storage.bytes(of: segments[1])?[byte] ?? 0
            for bit in 0..<8 where old >> UInt8(bit) & 1 == 1 { storage.flipBit(bit, ofByte: byte, in: segments[1]) }
        }
        #expect(try open(segmentBytes: 400).recovery.mended == [segments[1]])
        let log = try open(segmentBytes: 400)
        #expect(try log.append(kind: 1, [1]) == LogPosition(11))
        #expect(try log.read(from: .first) { _ in true }.framesLost == 0)
    }

    @Test func positionsOfALostLastSegmentAreNotGivenAgain() throws {
        try fill()
        for byte in [9, 40] { storage.flipBit(0, ofByte: byte, in: first) }
        let log = try open()
        #expect(log.recovery.quarantined.count == 1)
        #expect(try log.append(kind: 1, [1]) > LogPosition(10))
    }

    @Test func unreadableBytesAreLeftAloneAndTheLogGoesOn() throws {
        try fill()
        let before = storage.bytes(of: first)
        storage.makeUnreadable(900..<910, in: first)
        let log = try open()
        #expect(log.recovery.unreadableBytes > 0)
        #expect(storage.bytes(of: first) == before)
        _ = try log.append(kind: 1, [1])
        try log.sync()
        #expect(try open().segmentCount == 2)
    }

    @Test func aFailedSyncPoisonsAndReadingGoesOn() throws {
        var plan = SimulatedStorage.Plan()
        plan.failingSync = 3
        let storage = SimulatedStorage(seed: 1, plan: plan)
        let log = try SegmentedLog(folder: "wal", in: storage)
        _ = try log.append(kind: 1, [1])
        try log.sync()
        _ = try log.append(kind: 1, [2])
        #expect(throws: StorageError.self) { try log.sync() }
        #expect(log.endPosition == LogPosition(2), "what was not synced is given up")
        let error = #expect(throws: StorageError.self) { try log.append(kind: 1, [3]) }
        #expect(error?.description.contains("refused since fdatasync failed on wal/") == true)
        #expect(try read(log) == [[1]])
        #expect(try read(SegmentedLog(folder: "wal", in: storage)) == [[1]])
    }
}
