/// What a log's folder holds, frame by frame. Nothing is changed, so that whoever owns the log may go on: what it
/// writes in the meantime may look torn.
package struct LogInspection: Sendable {
    /// Frames of one kind, and the bytes of their payloads.
    package struct Kind: Sendable, Equatable {
        package var frames = 0
        package var bytes = 0
    }

    /// A segment whose first bytes cannot be used: all of its frames are lost.
    package struct Unreadable: Sendable, Equatable {
        package var path: String
        package var reason: String
    }

    /// Segments whose header holds.
    package private(set) var segments = 0
    /// The sizes of all segment files, preallocated room included.
    package private(set) var bytesOnDisk: UInt64 = 0
    /// The position of the first frame, and the one behind the last.
    package private(set) var positions: Range<LogPosition> = .first..<(.first)
    package private(set) var kinds: [UInt8: Kind] = [:]
    /// Frames that stood in damaged places or in segments that are missing.
    package private(set) var framesLost: UInt64 = 0
    /// The damaged places, the first `LogRecovery.damageMaximum` of them.
    package private(set) var damage: [LogDamage] = []
    package private(set) var unreadable: [Unreadable] = []
    /// Bytes that the medium did not give back.
    package private(set) var unreadableBytes: UInt64 = 0
    /// Bytes behind the last frame that are not just preallocated zeros: a write under way, or one that a crash
    /// interrupted. The owner's next start cuts them off.
    package private(set) var tornBytes: UInt64 = 0

    /// Reads every frame in `folder`. A segment of a newer format is an error.
    package init(folder: String, in storage: any FileStorage) throws(StorageError) {
        let window = RawBuffer()
        let opening = LogOpening(folder: folder, storage: storage, window: window)
        var found: [SegmentedLog.Segment] = []
        for entry in try storage.list(folder) where !entry.isFolder {
            let path = StoragePath.join(folder, entry.name)
            if SegmentName.quarantinedPosition(in: entry.name) != nil {
                unreadable.append(Unreadable(path: path, reason: "an earlier start has set it aside"))
            }
            guard let first = SegmentName.position(in: entry.name) else { continue }
            bytesOnDisk += entry.bytes
            if let header = try opening.header(of: entry, first: first) {
                found.append(SegmentedLog.Segment(header: header, path: path, bytes: entry.bytes))
            } else if entry.bytes > UInt64(SegmentHeader.byteCount) {
                unreadable.append(Unreadable(path: path, reason: "its first bytes are damaged"))
            }
        }
        for (index, segment) in found.enumerated() {
            try read(segment, isLast: index == found.count - 1, storage, window)
        }
    }

    private mutating func read(
        _ segment: SegmentedLog.Segment, isLast: Bool, _ storage: any FileStorage, _ window: RawBuffer
    ) throws(StorageError) {
        let file: any FileHandle
        do {
            file = try storage.open(segment.path, .read)
        } catch  where error.kind == .notFound {
            // The owner has cut it off since the folder was listed.
            return
        }
        if segments == 0 {
            positions = segment.header.first..<segment.header.first
        } else if segment.header.first > positions.upperBound {
            framesLost += segment.header.first.ordinal - positions.upperBound.ordinal
        }
        segments += 1
        var scanner = SegmentScanner(file, header: segment.header, end: try file.size(), window: window)
        walk: while true {
            let expected = scanner.expected
            var item = try scanner.next()
            if isLast, case .damage(let bytes, _) = item {
                // What was written since it was loaded into memory looks damaged there: it is looked at once more.
                unreadableBytes += scanner.unreadableBytes
                scanner = SegmentScanner(
                    file, header: segment.header, end: try file.size(), window: window,
                    resumingAt: (bytes.lowerBound, expected))
                item = try scanner.next()
            }
            switch item {
            case .frame(let header, _, _):
                kinds[header.kind, default: Kind()].frames += 1
                kinds[header.kind, default: Kind()].bytes += header.payloadBytes
            case .damage(let bytes, let lost):
                framesLost += lost
                if damage.count < LogRecovery.damageMaximum {
                    damage.append(LogDamage(path: segment.path, bytes: bytes, framesLost: lost))
                }
            case .end: break walk
            }
        }
        positions = positions.lowerBound..<max(positions.upperBound, scanner.expected)
        if isLast { tornBytes = try scanner.tornBytes() }
        unreadableBytes += scanner.unreadableBytes
    }
}
