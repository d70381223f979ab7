/// What a log held at one moment: the frames before `end`. Nothing that is written later changes any of them, so that
/// another thread than the log's own may read it. A segment that is cut meanwhile counts as lost to the reader.
package struct LogExtent: Sendable {
    struct Segment: Sendable {
        let header: SegmentHeader
        let path: String
        /// The segment that was written to, and where it ended; nil for a closed one, which is read whole.
        let active: (file: any FileHandle, end: UInt64)?
    }

    let storage: any FileStorage
    let segments: [Segment]
    /// The position of the first frame that was still there; equal to `end` when there was none.
    package let first: LogPosition
    /// The position behind the last frame.
    package let end: LogPosition
}

/// Reads the frames of extents in order. It remembers where it stopped, so that the next pass need not search for its
/// place. Of one thread at a time.
package final class LogReader {
    private struct Place {
        var position: LogPosition
        var segment: LogPosition
        var offset: UInt64
    }

    private let window: RawBuffer
    private var place: Place?

    /// A reader that has read nothing.
    package convenience init() { self.init(RawBuffer()) }

    /// The same, in memory that others use in between.
    init(_ window: RawBuffer) {
        self.window = window
    }

    /// Forgets where it stopped: what it has read may be gone.
    func forgetPlace() { place = nil }

    /// Hands the frames from `position` on to `body`, in order and each once, until it returns false or the extent
    /// ends.
    ///
    /// Damaged places are passed over; what was lost there is told with the next frame and in the result. Frames before
    /// the first that is there were cut and count as lost when asked for.
    package func read(
        _ extent: LogExtent, from position: LogPosition, _ body: (LogFrame) throws -> Bool
    ) throws -> LogReplay {
        var replay = LogReplay(next: position)
        defer { window.shrink(to: SegmentedLog.keptBytes) }
        let start = extent.segments.lastIndex { $0.header.first <= position } ?? 0
        for index in extent.segments.indices.dropFirst(start) {
            guard try read(index, of: extent, &replay, body) else { return replay }
        }
        if extent.end > replay.next {
            replay.framesLost += extent.end.ordinal - replay.next.ordinal
            replay.next = extent.end
        }
        return replay
    }

    /// Reads one segment; false when the reader has had enough.
    private func read(
        _ index: Int, of extent: LogExtent, _ replay: inout LogReplay, _ body: (LogFrame) throws -> Bool
    ) throws -> Bool {
        let segment = extent.segments[index]
        let file: any ObjectReader = try segment.active?.file ?? extent.storage.open(segment.path, .read)
        let end = try segment.active?.end ?? file.size()
        var scanner = SegmentScanner(
            file, header: segment.header, end: end, window: window, resumingAt: place(of: replay.next, in: segment))
        while true {
            switch try scanner.next() {
            case .frame(let header, _, let bytes):
                guard header.position >= replay.next else { continue }
                let lost = header.position.ordinal - replay.next.ordinal
                replay.framesLost += lost
                replay.frames += 1
                replay.next = header.position.advanced(by: 1)
                let payload = UnsafeRawBufferPointer(rebasing: bytes[FrameHeader.byteCount...])
                let frame = LogFrame(
                    position: header.position, kind: header.kind, payload: payload, lostBefore: lost)
                guard try body(frame) else {
                    remember(scanner, in: segment)
                    return false
                }
            case .damage(let bytes, let framesLost):
                guard scanner.expected > replay.next, replay.damage.count < LogRecovery.damageMaximum else { continue }
                replay.damage.append(LogDamage(path: segment.path, bytes: bytes, framesLost: framesLost))
            case .end(let offset):
                remember(scanner, in: segment)
                noteEnd(of: index, in: extent, offset..<end, expected: scanner.expected, in: &replay)
                return true
            }
        }
    }

    /// Notes frames that are missing at the end of a segment, where no later frame of it tells.
    private func noteEnd(
        of index: Int, in extent: LogExtent, _ bytes: Range<UInt64>, expected: LogPosition, in replay: inout LogReplay
    ) {
        guard index + 1 < extent.segments.count, replay.damage.count < LogRecovery.damageMaximum else { return }
        let due = extent.segments[index + 1].header.first
        guard due > max(expected, replay.next) else { return }
        let lost = due.ordinal - expected.ordinal
        replay.damage.append(LogDamage(path: extent.segments[index].path, bytes: bytes, framesLost: lost))
    }

    private func place(
        of position: LogPosition, in segment: LogExtent.Segment
    ) -> (offset: UInt64, expected: LogPosition)? {
        guard let place, place.segment == segment.header.first, place.position == position else { return nil }
        return (place.offset, place.position)
    }

    private func remember(_ scanner: SegmentScanner, in segment: LogExtent.Segment) {
        place = Place(position: scanner.expected, segment: segment.header.first, offset: scanner.offset)
    }
}
