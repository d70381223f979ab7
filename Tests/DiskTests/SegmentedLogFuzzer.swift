internal import Disk
internal import Synchronization
internal import TestSupport

/// Damages a log at random and opens it: whatever holds must be what was written there, what was not touched must be
/// there, the losses must add up, and the log must go on.
struct SegmentedLogFuzzer: Fuzzer {
    static let name = "segmented-log"

    static func run(seed: UInt64, events: Int) throws {
        try run(seed: seed, events: events, saltIsKnown: false)
    }

    static func run(seed: UInt64, events: Int, saltIsKnown: Bool) throws {
        var generator = SeededGenerator(seed: seed)
        for event in 0..<events {
            do {
                var victim = try DamagedLog(
                    generator: SeededGenerator(seed: generator.next()), saltIsKnown: saltIsKnown)
                victim.damage()
                try victim.check()
            } catch {
                throw FuzzFinding(seed: seed, event: event, "\(error)")
            }
        }
    }
}

/// Must fail: here whoever writes the payloads knows the salt, so that a frame inside a payload does pass for one.
struct SegmentedLogCanary: Fuzzer {
    static let name = "segmented-log-canary"

    static func run(seed: UInt64, events: Int) throws {
        try SegmentedLogFuzzer.run(seed: seed, events: events, saltIsKnown: true)
    }
}

/// One log, what was written to it, and what was done to its bytes.
struct DamagedLog {
    private struct Place {
        var path: String
        var bytes: Range<Int>
    }

    private var generator: SeededGenerator
    private let storage: SimulatedStorage
    private let options: SegmentedLog.Options
    private var records: [LogRecord] = []
    private var places: [Place] = []
    private var paths: [String] = []
    /// Byte ranges that are not what was written any more, by segment.
    private var touched: [String: [Range<Int>]] = [:]

    init(generator: SeededGenerator, saltIsKnown: Bool) throws {
        self.generator = generator
        storage = SimulatedStorage(seed: self.generator.next())
        // A salt known beforehand is as good as none: all segments have the one that the forger uses.
        let known = self.generator.next()
        let salts = Mutex(SeededGenerator(seed: self.generator.next()))
        options = SegmentedLog.Options(
            segmentBytes: UInt64(self.generator.pick([300, 1500, 9000])),
            growthBytes: UInt64(self.generator.pick([0, 512])),
            salt: { saltIsKnown ? known : salts.withLock { $0.next() } })
        let log = try SegmentedLog(folder: "wal", in: storage, options: options)
        let count = self.generator.int(in: 1..<40)
        for _ in 0..<count {
            let forgery = ForgedFrame(
                position: log.endPosition.ordinal + UInt64(self.generator.int(in: 0..<4)), salt: known)
            let record = nextRecord(forgery)
            let path = { [storage] in "wal/" + (((try? storage.list("wal")) ?? []).last?.name ?? "") }
            _ = try log.append([record])
            if self.generator.oneIn(3) { try log.sync() }
            if paths.last != path() { paths.append(path()) }
            let start = places.last.flatMap { $0.path == path() ? $0.bytes.upperBound : nil } ?? 32
            places.append(Place(path: path(), bytes: start..<start + 28 + record.payload.count))
            records.append(record)
        }
        try log.sync()
    }

    /// Random bytes, or bytes that look like the log's own: forged frames, copies of real ones.
    private mutating func nextRecord(_ forgery: ForgedFrame) -> LogRecord {
        var payload = generator.bytes(generator.int(in: 0..<80))
        switch generator.int(in: 0..<4) {
        case 0: payload += forgery.bytes(payload: generator.bytes(generator.int(in: 0..<40)))
        case 1: payload += copyOfSegmentBytes()
        default: break
        }
        return LogRecord(kind: UInt8(generator.int(in: 0..<256)), payload: payload)
    }

    private mutating func copyOfSegmentBytes() -> [UInt8] {
        guard let path = paths.last, let bytes = storage.bytes(of: path), !bytes.isEmpty else { return [] }
        let start = generator.int(in: 0..<bytes.count)
        return Array(bytes[start..<min(bytes.count, start + 200)])
    }

    /// Does one to three bad things to the segments.
    mutating func damage() {
        for _ in 0..<generator.int(in: 1..<4) {
            let path = generator.pick(paths)
            guard var bytes = storage.bytes(of: path), !bytes.isEmpty else { continue }
            let start = generator.int(in: 0..<bytes.count)
            let end = min(bytes.count, start + generator.int(in: 1..<(generator.oneIn(3) ? 400 : 8)))
            switch generator.int(in: 0..<7) {
            case 0, 1:
                bytes[start] ^= 1 << UInt8(generator.int(in: 0..<8))
                touch(path, start..<start + 1)
            case 2:
                for index in start..<end { bytes[index] = 0 }
                touch(path, start..<end)
            case 3:
                for index in start..<end { bytes[index] = UInt8(truncatingIfNeeded: generator.next()) }
                touch(path, start..<end)
            case 4:
                touch(path, start..<bytes.count)
                bytes.removeLast(bytes.count - start)
            case 5:
                // A piece of another segment lies where this one's bytes should be, as after a misdirected write.
                guard let other = paths.first(where: { $0 != path }).flatMap(storage.bytes(of:)) else { continue }
                let from = generator.int(in: 0..<max(1, other.count - 64))
                let piece = other[from..<min(other.count, from + end - start)]
                bytes.replaceSubrange(start..<start + piece.count, with: piece)
                touch(path, start..<end)
            default:
                let block = start / 4096 * 4096..<(end + 4095) / 4096 * 4096
                storage.makeUnreadable(UInt64(start)..<UInt64(end), in: path)
                touch(path, start < 32 ? 0..<block.upperBound : max(32, block.lowerBound)..<block.upperBound)
                continue
            }
            storage.replaceBytes(of: path, with: bytes)
        }
    }

    private mutating func touch(_ path: String, _ range: Range<Int>) {
        touched[path, default: []].append(range)
    }

    private func isTouched(_ path: String, _ range: Range<Int>) -> Bool {
        touched[path, default: []].contains { $0.overlaps(range) }
    }

    /// Opens, reads, compares, and goes on.
    func check() throws {
        let log = try SegmentedLog(folder: "wal", in: storage, options: options)
        let seen = try readAll(log)
        for (index, place) in places.enumerated() where seen[LogPosition(UInt64(index) + 1)] == nil {
            guard isTouched(place.path, 0..<32) || isTouched(place.path, place.bytes) else {
                throw Broken("frame \(index + 1) was not touched and is gone; recovery: \(log.recovery)")
            }
        }
        let more = LogRecord(kind: 7, payload: [7, 7, 7])
        let position = try log.append([more])
        guard seen[position] == nil else { throw Broken("position \(position) was given twice") }
        try log.sync()
        let again = try readAll(SegmentedLog(folder: "wal", in: storage, options: options), besides: [position: more])
        guard again.count == seen.count + 1, again[position] == more else {
            throw Broken("\(seen.count) frames were there, after one more there are \(again.count)")
        }
    }

    private func readAll(
        _ log: SegmentedLog, besides extra: [LogPosition: LogRecord] = [:]
    ) throws -> [LogPosition: LogRecord] {
        var seen: [LogPosition: LogRecord] = [:]
        var previous = LogPosition(0)
        let replay = try log.read(from: log.firstPosition) { frame in
            let record = LogRecord(kind: frame.kind, payload: Array(frame.payload))
            let index = Int(frame.position.ordinal) - 1
            let original = extra[frame.position] ?? (records.indices.contains(index) ? records[index] : nil)
            guard record == original else { throw Broken("frame \(frame.position) is not what was written") }
            guard frame.position > previous else { throw Broken("frame \(frame.position) comes after \(previous)") }
            previous = frame.position
            seen[frame.position] = record
            return true
        }
        let span = log.endPosition.ordinal - log.firstPosition.ordinal
        guard replay.framesLost + UInt64(seen.count) == span else {
            throw Broken("\(seen.count) frames and \(replay.framesLost) lost ones do not add up to \(span)")
        }
        return seen
    }
}

/// A frame made by somebody who knows the format, from docs/formats/segmented-log.md alone.
struct ForgedFrame {
    let position: UInt64
    let salt: UInt64

    func bytes(payload: [UInt8]) -> [UInt8] {
        var frame: [UInt8] = [0xF5, 0x76, 0x66, 0xF8]
        append(UInt32(payload.count), to: &frame)
        append(position, to: &frame)
        frame += [1, 0, 0, 0]
        var checked: [UInt8] = []
        append(salt, to: &checked)
        checked += frame
        append(checked.withUnsafeBytes { crc32c($0) }, to: &frame)
        append((checked + payload).withUnsafeBytes { crc32c($0) }, to: &frame)
        return frame + payload
    }

    private func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
}
