/// A place in a log that a reader reached, for the next pass to go on from.
struct ReadingPlace {
    var position: LogPosition
    var segment: LogPosition
    var offset: UInt64
}

extension SegmentedLog {
    /// Hands the frames from `position` on to `body`, in order and each once, until it returns false or the log ends.
    ///
    /// Damaged places are passed over; what was lost there is told with the next frame and in the result. Frames before
    /// `firstPosition` were cut and count as lost when asked for.
    package func read(
        from position: LogPosition, _ body: (LogFrame) throws -> Bool
    ) throws -> LogReplay {
        var replay = LogReplay(next: position)
        defer { window.shrink(to: Self.keptBytes) }
        let start = segments.lastIndex { $0.header.first <= position } ?? 0
        for index in segments.indices.dropFirst(start) {
            guard try read(index, &replay, body) else { return replay }
        }
        if endPosition > replay.next {
            replay.framesLost += endPosition.ordinal - replay.next.ordinal
            replay.next = endPosition
        }
        return replay
    }

    /// Reads one segment; false when the reader has had enough.
    private func read(
        _ index: Int, _ replay: inout LogReplay, _ body: (LogFrame) throws -> Bool
    ) throws -> Bool {
        let segment = segments[index]
        let isActive = index == segments.count - 1 && active != nil
        let file: any ObjectReader
        if isActive, let active { file = active.file } else { file = try storage.open(segment.path, .read) }
        let end = isActive ? active?.end.offset ?? segment.bytes : try file.size()
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
                noteEnd(of: index, offset..<end, expected: scanner.expected, in: &replay)
                return true
            }
        }
    }

    /// Notes frames that are missing at the end of a segment, where no later frame of it tells.
    private func noteEnd(
        of index: Int, _ bytes: Range<UInt64>, expected: LogPosition, in replay: inout LogReplay
    ) {
        guard index + 1 < segments.count, replay.damage.count < LogRecovery.damageMaximum else { return }
        let due = segments[index + 1].header.first
        guard due > max(expected, replay.next) else { return }
        let lost = due.ordinal - expected.ordinal
        replay.damage.append(LogDamage(path: segments[index].path, bytes: bytes, framesLost: lost))
    }

    private func place(
        of position: LogPosition, in segment: Segment
    ) -> (offset: UInt64, expected: LogPosition)? {
        guard let place = readingPlace, place.segment == segment.header.first, place.position == position else {
            return nil
        }
        return (place.offset, place.position)
    }

    private func remember(_ scanner: SegmentScanner, in segment: Segment) {
        readingPlace = ReadingPlace(
            position: scanner.expected, segment: segment.header.first, offset: scanner.offset)
    }
}
