internal import Disk
internal import TestSupport
internal import Testing

/// What a log promises on a disk that behaves.
@Suite struct SegmentedLogTests {
    let folder: TemporaryFolder
    let storage: SystemStorage

    init() throws {
        folder = try TemporaryFolder()
        storage = SystemStorage(root: folder.path)
    }

    func open(segmentBytes: UInt64 = 64 << 20, atLeast: LogPosition = .first) throws -> SegmentedLog {
        try SegmentedLog(
            folder: "wal", in: storage,
            options: .init(segmentBytes: segmentBytes, growthBytes: min(segmentBytes, 1 << 16)), atLeast: atLeast)
    }

    @Test func appendedRecordsComeBackInOrder() throws {
        let log = try open()
        for number in 0..<100 {
            let position = try log.append(kind: UInt8(number), payload(number))
            #expect(position == LogPosition(UInt64(number) + 1))
        }
        try log.sync()
        #expect(try read(log) == (0..<100).map(payload))
        let again = try open()
        #expect(again.recovery.isClean, "\(again.recovery)")
        #expect(try read(again) == (0..<100).map(payload))
        #expect(try again.append(kind: 0, []) == LogPosition(101))
    }

    @Test func segmentsRotateAndOldOnesAreCut() throws {
        let log = try open(segmentBytes: 4096)
        for number in 0..<200 { _ = try log.append(kind: 1, payload(number)) }
        try log.sync()
        #expect(log.segmentCount > 3)
        let before = log.bytesOnDisk
        try log.cut(before: LogPosition(100))
        #expect(log.firstPosition <= LogPosition(100))
        #expect(log.firstPosition > .first)
        #expect(log.bytesOnDisk < before)
        #expect(try read(log, from: LogPosition(100)) == (99..<200).map(payload))
        let replay = try log.read(from: .first) { _ in true }
        #expect(replay.framesLost == log.firstPosition.ordinal - 1)
        #expect(try read(open(), from: LogPosition(150)) == (149..<200).map(payload))
    }

    @Test func rotateThenCutLeavesNothingButThePosition() throws {
        let log = try open()
        for number in 0..<10 { _ = try log.append(kind: 1, payload(number)) }
        try log.rotate()
        try log.cut(before: log.endPosition)
        #expect(log.segmentCount == 1)
        #expect(try open().endPosition == LogPosition(11))
    }

    @Test func everySegmentBeginsWithThePreamble() throws {
        let log = try open(segmentBytes: 1024)
        log.segmentPreamble = { [LogRecord(kind: 9, payload: [1, 2, 3])] }
        for number in 0..<50 { _ = try log.append(kind: 1, payload(number)) }
        try log.sync()
        var kinds: [UInt8] = []
        _ = try log.read(from: .first) { frame in
            kinds.append(frame.kind)
            return true
        }
        #expect(kinds.first == 9)
        #expect(kinds.count { $0 == 9 } == log.segmentCount)
        #expect(try read(log, kind: 1) == (0..<50).map(payload))
    }

    @Test func readingStopsWhenToldAndGoesOnFromThere() throws {
        let log = try open(segmentBytes: 2048)
        for number in 0..<60 { _ = try log.append(kind: 1, payload(number)) }
        var next = LogPosition.first
        var seen: [[UInt8]] = []
        while next < log.endPosition {
            var count = 0
            next = try log.read(from: next) { frame in
                seen.append(Array(frame.payload))
                count += 1
                return count < 7
            }.next
        }
        #expect(seen == (0..<60).map(payload))
    }

    @Test func aFloorForPositionsHolds() throws {
        let log = try open()
        _ = try log.append(kind: 1, [1])
        try log.sync()
        let raised = try open(atLeast: LogPosition(50))
        #expect(try raised.append(kind: 1, [2]) == LogPosition(50))
        try raised.sync()
        let replay = try open().read(from: .first) { _ in true }
        #expect(replay.frames == 2)
        #expect(replay.framesLost == 48)
    }

    @Test func recordsAboveTheLimitAreRefused() throws {
        let log = try open()
        let largest = [UInt8](repeating: 7, count: LogRecord.payloadBytesMaximum)
        #expect(try log.append(kind: 1, largest) == .first)
        #expect(throws: StorageError.self) { try log.append(kind: 1, largest + [0]) }
        try log.sync()
        #expect(try read(log) == [largest])
    }
}

/// The record that tests write under `number`.
func payload(_ number: Int) -> [UInt8] {
    Array("record \(number) ".utf8) + [UInt8](repeating: 0xF5, count: number % 50)
}

/// All payloads from `position` on, of one kind or of all.
func read(_ log: SegmentedLog, from position: LogPosition = .first, kind: UInt8? = nil) throws -> [[UInt8]] {
    var payloads: [[UInt8]] = []
    _ = try log.read(from: position) { frame in
        if kind == nil || kind == frame.kind { payloads.append(Array(frame.payload)) }
        return true
    }
    return payloads
}
