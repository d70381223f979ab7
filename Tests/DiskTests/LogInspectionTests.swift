internal import Disk
internal import TestSupport
internal import Testing

/// Looking into a log's folder from outside: everything is told, nothing is changed.
@Suite struct LogInspectionTests {
    private let storage = SimulatedStorage(seed: 1)
    private let first = "wal/00000000000000000001.segment"

    /// Ten records of 100 bytes, each in a batch of its own: frame n lies at 32 + 128 n. The log stays open, as that of
    /// a running process.
    private func fill(segmentBytes: UInt64 = 1 << 20) throws -> SegmentedLog {
        let log = try SegmentedLog(
            folder: "wal", in: storage, options: .init(segmentBytes: segmentBytes, growthBytes: 1024))
        for number in 0..<10 {
            _ = try log.append(kind: UInt8(1 + number % 2), [UInt8](repeating: UInt8(number), count: 100))
            try log.sync()
        }
        return log
    }

    private func inspect() throws -> LogInspection { try LogInspection(folder: "wal", in: storage) }

    @Test func aLogIsReadBesideItsOwner() throws {
        let log = try fill()
        let before = storage.bytes(of: first)
        let found = try inspect()
        #expect(storage.bytes(of: first) == before, "preallocated room stays")
        #expect(found.kinds.mapValues(\.frames) == [1: 5, 2: 5])
        #expect(found.kinds.mapValues(\.bytes) == [1: 500, 2: 500])
        #expect(found.positions == LogPosition(1)..<LogPosition(11))
        #expect(found.segments == 1 && found.framesLost == 0 && found.tornBytes == 0)
        #expect(try log.append(kind: 1, [1]) == LogPosition(11), "its owner goes on")
        try log.sync()
        #expect(try inspect().positions == LogPosition(1)..<LogPosition(12))
    }

    @Test func aTornTailIsToldAndStays() throws {
        _ = try fill()
        let bytes = try #require(storage.bytes(of: first))
        let torn = Array(bytes[..<(32 + 128 * 9 + 50)])
        storage.replaceBytes(of: first, with: torn)
        let found = try inspect()
        #expect(found.tornBytes == 50 && found.framesLost == 0 && found.damage.isEmpty)
        #expect(found.positions == LogPosition(1)..<LogPosition(10))
        #expect(storage.bytes(of: first) == torn)
    }

    @Test func damageIsToldWithItsPlace() throws {
        _ = try fill(segmentBytes: 500)
        let segments = try storage.list("wal").map { "wal/\($0.name)" }
        #expect(segments.count == 3)
        storage.flipBit(3, ofByte: 32 + 128 + 60, in: segments[0])
        storage.flipBit(0, ofByte: 20, in: segments[1])
        let before = segments.map { storage.bytes(of: $0) }
        let found = try inspect()
        #expect(found.damage.map(\.bytes) == [160..<288])
        #expect(found.unreadable.map(\.path) == [segments[1]])
        #expect(found.unreadable.map(\.reason) == ["its first bytes are damaged"])
        // One frame, and the four of the segment that cannot be read.
        #expect(found.framesLost == 5)
        #expect(segments.map { storage.bytes(of: $0) } == before)
        #expect(try storage.list("wal").count == 3, "nothing is set aside")
    }

    @Test func aFolderThatIsNoneIsAnError() throws {
        #expect(throws: StorageError.self) { try LogInspection(folder: "nowhere", in: storage) }
    }
}
