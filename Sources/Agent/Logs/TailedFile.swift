internal import Glibc
internal import Telemetry

/// An open log file: reads what is new, cuts it into records and joins them to lines. Used by one thread.
final class TailedFile {
    /// What one pass over the file brought.
    struct Harvest {
        /// The generation that all offsets of this harvest belong to.
        var generation: UInt64 = 0
        var lines: [LineJoiner.Line] = []
        /// Lines that are no records of the engine; kept as they are.
        var rawLines: [(text: [UInt8], offsets: Range<UInt64>)] = []
        var lostBytes: UInt64 = 0
        /// Whether there is more to read right now.
        var hasMore = false
        /// Whether the file is over and should be let go of.
        var isOver = false
    }

    let identity: FileIdentity
    private let descriptor: Int32
    private(set) var state: TailState
    private var joiner = LineJoiner()
    /// The generation and offset before which everything was given out; what a checkpoint may say.
    private(set) var harvested: (generation: UInt64, offset: UInt64)
    /// When the pieces held back last grew, monotonic.
    private var waitingSince: Int64?
    private var text: [UInt8] = []
    /// Whether the byte in front of the offset must be a line end; false after a record that was cut by force.
    private var isAtLineEnd = true

    /// No record of an engine is longer; what is, is not a record.
    private static let recordBytesMaximum = 1 << 20
    /// A line whose rest does not come for so long is given out as it is.
    private static let waitNanoseconds: Int64 = 5_000_000_000

    /// Opens `path`; nil when it cannot be opened.
    init?(path: String) {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        guard let identity = FileIdentity(descriptor: descriptor) else {
            close(descriptor)
            return nil
        }
        self.descriptor = descriptor
        self.identity = identity
        state = TailState()
        harvested = (0, 0)
    }

    deinit { close(descriptor) }

    /// The file's size now.
    var sizeBytes: UInt64 {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? UInt64(status.st_size) : 0
    }

    /// Goes on behind `offset` of `generation`, as a checkpoint says.
    func resume(generation: UInt64, offset: UInt64) {
        state = TailState(generation: generation, offset: offset)
        harvested = (generation, offset)
    }

    /// Skips all but about the last `bytes`, up to the first line that begins there.
    func skipToLast(_ bytes: UInt64) {
        let size = sizeBytes
        guard size > bytes else { return }
        var start = size - bytes
        withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 8) { raw in
            while start < size {
                let count = pread(descriptor, raw.baseAddress, raw.count, off_t(start))
                guard count > 0 else { return }
                if let end = raw[..<count].firstIndex(of: UInt8(ascii: "\n")) {
                    start += UInt64(end + 1)
                    return
                }
                start += UInt64(count)
            }
        }
        resume(generation: 0, offset: start)
    }

    /// Reads at most about `budget` bytes. `isNamed` says whether the followed name still means this file.
    func harvest(
        isNamed: Bool, isAccepting: Bool, budget: Int, buffer: UnsafeMutableRawBufferPointer,
        atNanoseconds now: Int64
    ) -> Harvest {
        var harvest = Harvest(generation: state.generation)
        var read = 0
        loop: while true {
            var status = stat()
            guard fstat(descriptor, &status) == 0 else {
                harvest.isOver = true
                break
            }
            let sight = TailState.Sight(
                sizeBytes: UInt64(status.st_size), isNamed: isNamed, isDeleted: status.st_nlink == 0)
            switch state.look(sight, isAccepting: isAccepting, atNanoseconds: now) {
            case .wait: break loop
            case .startOver:
                startOver(&harvest)
                break loop
            case .read:
                guard read < budget else {
                    harvest.hasMore = true
                    break loop
                }
                let count = readPiece(buffer, isLast: !isNamed, &harvest)
                guard count > 0, state.generation == harvest.generation else { break loop }
                read += count
                waitingSince = joiner.isWaiting ? now : nil
            case .close:
                flush(&harvest)
                harvest.isOver = true
                break loop
            case .abandon(let lostBytes):
                harvest.lostBytes = lostBytes
                flush(&harvest)
                harvest.isOver = true
                break loop
            }
        }
        if let since = waitingSince, now - since > Self.waitNanoseconds { flush(&harvest) }
        if !harvest.isOver { harvested = (state.generation, joiner.resumeOffset(state.offset)) }
        return harvest
    }

    /// Gives out what is held back: the container ended, nothing will complete it.
    func flush(_ harvest: inout Harvest) {
        joiner.flush { harvest.lines.append($0) }
        waitingSince = nil
        harvested = (state.generation, state.offset)
    }

    /// Whether pieces of a line are held back.
    var isWaiting: Bool { joiner.isWaiting }

    private func startOver(_ harvest: inout Harvest) {
        joiner.flush { harvest.lines.append($0) }
        waitingSince = nil
        isAtLineEnd = true
        harvest.hasMore = true
    }

    /// Reads one piece and returns how far it brought the file on. Incomplete records at its end are read again later.
    private func readPiece(_ buffer: UnsafeMutableRawBufferPointer, isLast: Bool, _ harvest: inout Harvest) -> Int {
        // The byte in front is read too: a file that was cut and grew again has another one there.
        let before = state.offset > 0 && isAtLineEnd ? 1 : 0
        let count = pread(descriptor, buffer.baseAddress, buffer.count, off_t(state.offset) - off_t(before))
        guard count > before else { return 0 }
        if before == 1, buffer[0] != UInt8(ascii: "\n") {
            _ = state.contentChanged()
            startOver(&harvest)
            return 1
        }
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[before..<count])
        var consumed = 0
        isAtLineEnd = true
        while let end = bytes[consumed...].firstIndex(of: UInt8(ascii: "\n")) {
            take(UnsafeRawBufferPointer(rebasing: bytes[consumed..<end]), at: state.offset + UInt64(consumed), &harvest)
            consumed = end + 1
        }
        if consumed == 0, isLast || bytes.count >= min(Self.recordBytesMaximum, buffer.count - 1) {
            // A record that never ends: the engine died in the middle of it, or it is none.
            take(bytes, at: state.offset, &harvest)
            consumed = bytes.count
            isAtLineEnd = false
        }
        state.advance(to: state.offset + UInt64(consumed))
        return consumed
    }

    private func take(_ record: UnsafeRawBufferPointer, at start: UInt64, _ harvest: inout Harvest) {
        // The interval includes the line end, so that consecutive records leave no gap.
        let offsets = start..<(start + UInt64(record.count) + 1)
        guard !record.isEmpty else { return }
        text.removeAll(keepingCapacity: true)
        guard let parsed = DockerRecord.parse(record, into: &text) else {
            harvest.rawLines.append((Array(record), offsets))
            return
        }
        joiner.take(parsed, text: text[...], offsets: offsets) { harvest.lines.append($0) }
    }
}
