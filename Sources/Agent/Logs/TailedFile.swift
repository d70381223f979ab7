internal import Glibc
internal import Telemetry

/// An open log file: reads what is new, cuts it into records and joins them to lines. Used by one thread.
final class TailedFile {
    /// What one pass over the file brought.
    struct Harvest {
        var lines: LineCollector
        var lostBytes: UInt64 = 0
        /// Whether there is more to read right now.
        var hasMore = false
        /// Whether the file is over and should be let go of.
        var isOver = false
        /// Where the file was cut; its harvest is still of the generation before.
        var cut: Cut?
    }

    /// A file was cut, or cut and written anew: where reading stood, for a copy that may hold the rest.
    struct Cut {
        /// From here on nothing was given out.
        var reach: TailPositions.Reach
        /// What the file held up to `markOffset`.
        var mark: ContentMark
        var markOffset: UInt64
    }

    /// What a pass needs to know beside the file.
    struct Look {
        /// Whether the followed name still means this file, and whether it means another one.
        var isNamed: Bool
        var isReplaced: Bool
        var isAccepting: Bool
        var isOverBudget = false
        /// Whether the writer is gone for good: what is not whole never will be.
        var isLastWord = false
        var budget: Int
        var now: Int64
    }

    /// Whose bytes these are: the file's own identity, or for a copy and an unpacked archive that of the file it was
    /// made from. Offsets count in it.
    let identity: FileIdentity
    /// The open file itself.
    let physical: FileIdentity
    /// Whether these are bytes of another file: nobody writes here, the end is the end.
    let isCopy: Bool
    let descriptor: Int32
    private let format: any LogFormat
    private(set) var state: TailState
    private var joiner = LineJoiner()
    /// The generation and offset before which everything was given out; what a checkpoint may say.
    private(set) var harvested: (generation: UInt64, offset: UInt64)
    /// When the pieces held back last grew, monotonic.
    private var waitingSince: Int64?
    private var text: [UInt8] = []
    /// The bytes in front of the offset, at most `ContentMark.tailBytes`: a file that was cut and grew again has
    /// others.
    private var recent: [UInt8] = []
    private var head: (length: UInt16, hash: UInt64) = (0, 0)
    /// An incomplete record at the end of the file, and since when it is so long, monotonic.
    private var stalled: (size: UInt64, since: Int64)?

    /// A line whose rest does not come for so long is given out as it is.
    private static let waitNanoseconds: Int64 = 5_000_000_000

    /// Opens `path`; nil when it cannot be opened, or cannot be told from others yet: on a file system without birth
    /// times a file is its first line, and there is none. `isFinal` says that no more will come.
    convenience init?(path: String, format: any LogFormat, isFinal: Bool) {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        self.init(descriptor: descriptor, format: format, isFinal: isFinal)
    }

    /// Takes over an open file, and closes it where it is not one that can be read.
    convenience init?(descriptor: Int32, format: any LogFormat, isFinal: Bool) {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            var identity = FileIdentity(descriptor: descriptor)
        else {
            Glibc.close(descriptor)
            return nil
        }
        if identity.birthNanoseconds == 0 {
            guard let birth = ContentMark.birth(of: descriptor, isFinal: isFinal) else {
                Glibc.close(descriptor)
                return nil
            }
            identity.birthNanoseconds = birth
        }
        self.init(descriptor: descriptor, physical: identity, identity: identity, format: format)
    }

    /// Takes over an open file that holds the bytes of `identity`.
    init(descriptor: Int32, physical: FileIdentity, identity: FileIdentity, format: any LogFormat) {
        self.descriptor = descriptor
        self.physical = physical
        self.identity = identity
        isCopy = physical != identity
        self.format = format
        state = TailState()
        harvested = (0, 0)
    }

    deinit { Glibc.close(descriptor) }

    /// The file's size now.
    var sizeBytes: UInt64 {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? UInt64(status.st_size) : 0
    }

    /// What the file takes on the disk although it has no name any more.
    var heldBytes: UInt64 {
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_nlink == 0 ? UInt64(status.st_blocks) * 512 : 0
    }

    /// Goes on behind `offset` of `generation`, as a checkpoint says. When the file does not hold what the mark says,
    /// it was cut and written anew, and is read from its start as another generation; false then.
    @discardableResult
    func resume(_ reach: TailPositions.Reach) -> Bool {
        let isSame = reach.mark.map { $0.matches(descriptor, at: reach.offset) } ?? (reach.offset <= sizeBytes)
        state =
            isSame
            ? TailState(generation: reach.generation, offset: reach.offset)
            : TailState(generation: reach.generation + 1, offset: 0)
        harvested = (state.generation, state.offset)
        loadRecent()
        return isSame
    }

    /// The beginning of a file as it is now, for a place at its start.
    var beginning: TailPositions.Reach {
        let length = min(Int(clamping: sizeBytes), ContentMark.headBytes)
        var reach = TailPositions.Reach(generation: state.generation, offset: 0)
        if length > 0 { reach.mark = ContentMark(of: descriptor, at: 0, headLength: length) }
        return reach
    }

    /// Whether the file holds what an earlier run read up to its place; an empty beginning proves nothing.
    func holds(_ reach: TailPositions.Reach) -> Bool {
        guard let mark = reach.mark, mark.headLength > 0 else { return false }
        return mark.matches(descriptor, at: reach.offset)
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
        resume(TailPositions.Reach(generation: 0, offset: start))
    }

    /// How far everything was given out, for a checkpoint.
    var reach: TailPositions.Reach {
        let offset = harvested.offset
        if head.length < UInt16(ContentMark.headBytes), UInt64(head.length) < offset,
            let mark = ContentMark(of: descriptor, at: offset)
        {
            head = (mark.headLength, mark.head)
        }
        var reach = TailPositions.Reach(generation: harvested.generation, offset: offset)
        // Mostly nothing is held back, and the bytes in front are at hand.
        if offset == state.offset, head.length > 0, !recent.isEmpty {
            let tail = recent.withUnsafeBytes { ContentMark.hash($0) }
            reach.mark = ContentMark(headLength: head.length, head: head.hash, tail: tail)
        } else {
            reach.mark = ContentMark(of: descriptor, at: offset)
        }
        return reach
    }

    /// Reads at most about `look.budget` bytes.
    func harvest(
        _ look: Look, lines: LineCollector, buffer: UnsafeMutableRawBufferPointer
    ) -> Harvest {
        var harvest = Harvest(lines: lines)
        read(look, &harvest, buffer)
        if let since = waitingSince, look.now - since > Self.waitNanoseconds { flush(&harvest) }
        if !harvest.isOver, harvest.cut == nil {
            harvested = (state.generation, joiner.resumeOffset(state.offset))
        }
        return harvest
    }

    private func read(_ look: Look, _ harvest: inout Harvest, _ buffer: UnsafeMutableRawBufferPointer) {
        var read = 0
        while true {
            var status = stat()
            guard fstat(descriptor, &status) == 0 else {
                harvest.isOver = true
                return
            }
            let before = state
            let sight = TailState.Sight(
                sizeBytes: UInt64(status.st_size), isNamed: look.isNamed, isDeleted: status.st_nlink == 0,
                isReplaced: look.isReplaced, isOverBudget: look.isOverBudget)
            switch state.look(sight, isAccepting: look.isAccepting, atNanoseconds: look.now) {
            case .wait:
                if isCopy, sight.sizeBytes == state.offset { close(&harvest) }
                return
            case .startOver: return startOver(from: before, &harvest)
            case .read:
                guard read < look.budget else {
                    harvest.hasMore = true
                    return
                }
                let isLast = look.isLastWord || isCopy || isStalled(sight.sizeBytes, look)
                let count = readPiece(buffer, isLast: isLast, &harvest)
                guard count > 0, harvest.cut == nil else { return }
                read += count
                stalled = nil
                waitingSince = joiner.isWaiting ? look.now : nil
            case .close: return close(&harvest)
            case .abandon(let lostBytes):
                harvest.lostBytes = lostBytes
                return close(&harvest)
            }
        }
    }

    /// Whether what is left at the end was incomplete for so long that it will never be whole.
    private func isStalled(_ size: UInt64, _ look: Look) -> Bool {
        guard let stalled, stalled.size == size else {
            stalled = (size, look.now)
            return false
        }
        return look.now - stalled.since >= (look.isNamed ? Self.waitNanoseconds : TailState.quietNanoseconds)
    }

    private func close(_ harvest: inout Harvest) {
        flush(&harvest)
        harvest.isOver = true
    }

    /// Gives out what is held back: the container ended, nothing will complete it.
    func flush(_ harvest: inout Harvest) {
        joiner.flush { harvest.lines.add($0, $1) }
        waitingSince = nil
        harvested = (state.generation, state.offset)
    }

    /// Whether something at its end is not whole yet.
    var isWaiting: Bool { joiner.isWaiting || stalled != nil }

    private func startOver(from before: TailState, _ harvest: inout Harvest) {
        let tail = recent.withUnsafeBytes { ContentMark.hash($0) }
        let reach = TailPositions.Reach(
            generation: before.generation, offset: joiner.resumeOffset(before.offset))
        harvest.cut = Cut(
            reach: reach, mark: ContentMark(headLength: head.length, head: head.hash, tail: tail),
            markOffset: before.offset)
        harvest.hasMore = true
        recent = []
        head = (0, 0)
        stalled = nil
    }

    /// Ends the generation before the cut: what was held back of it is in a copy, or as whole as it will ever be.
    func settleCut(_ harvest: inout Harvest, isInCopy: Bool) {
        if isInCopy {
            joiner = LineJoiner()
            waitingSince = nil
        }
        flush(&harvest)
    }

    private func loadRecent() {
        let count = min(Int(clamping: state.offset), ContentMark.tailBytes)
        recent = [UInt8](unsafeUninitializedCapacity: count) { raw, length in
            length = max(0, pread(descriptor, raw.baseAddress, count, off_t(state.offset) - off_t(count)))
        }
        if recent.count != count { recent = [] }
    }

    /// Reads one piece and returns how far it brought the file on. Incomplete records at its end are read again later.
    private func readPiece(_ buffer: UnsafeMutableRawBufferPointer, isLast: Bool, _ harvest: inout Harvest) -> Int {
        let before = recent.count
        let count = pread(descriptor, buffer.baseAddress, buffer.count, off_t(state.offset) - off_t(before))
        guard count > before else { return 0 }
        let isSame = recent.withUnsafeBytes { $0.isSame(as: UnsafeRawBufferPointer(rebasing: buffer[..<before])) }
        guard isSame else {
            let before = state
            state.contentChanged()
            startOver(from: before, &harvest)
            return 1
        }
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[before..<count])
        let consumed = takeRecords(bytes, isLast: isLast, isFull: count == buffer.count, &harvest)
        state.advance(to: state.offset + UInt64(consumed))
        let end = before + consumed
        recent = Array(buffer[max(0, end - ContentMark.tailBytes)..<end])
        return consumed
    }

    private func takeRecords(
        _ bytes: UnsafeRawBufferPointer, isLast: Bool, isFull: Bool, _ harvest: inout Harvest
    ) -> Int {
        var consumed = 0
        while let end = bytes.offset(of: UInt8(ascii: "\n"), from: consumed) {
            take(UnsafeRawBufferPointer(rebasing: bytes[consumed..<end]), at: state.offset + UInt64(consumed), &harvest)
            consumed = end + 1
        }
        if consumed == 0, isLast || isFull {
            // A record that never ends: the engine died in the middle of it, or it is none. Its interval ends with it.
            take(bytes, at: state.offset, cutAs: isFull ? .partial : .last, &harvest)
            consumed = bytes.count
        }
        return consumed
    }

    private func take(
        _ record: UnsafeRawBufferPointer, at start: UInt64, cutAs cut: LogRecord.Ending? = nil,
        _ harvest: inout Harvest
    ) {
        // The interval includes the line end, so that consecutive records leave no gap.
        let offsets = start..<(start + UInt64(record.count) + (cut == nil ? 1 : 0))
        guard !record.isEmpty else { return }
        text.removeAll(keepingCapacity: true)
        guard var parsed = format.parse(record, into: &text) else {
            harvest.lines.add(unparsed: record, offsets: offsets)
            return
        }
        if let cut, parsed.ending == .complete { parsed.ending = cut }
        joiner.take(parsed, text: text, offsets: offsets) { harvest.lines.add($0, $1) }
    }
}
