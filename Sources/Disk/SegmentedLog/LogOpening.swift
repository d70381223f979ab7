/// Opening a log: looks at every segment's header and at every frame of the last segment, and repairs what a crash
/// left.
struct LogOpening {
    let folder: String
    let storage: any FileStorage
    let window: RawBuffer

    private(set) var recovery = LogRecovery()
    private(set) var segments: [SegmentedLog.Segment] = []
    private(set) var active: ActiveSegment?
    /// Behind the last frame.
    private(set) var end = LogPosition.first
    /// Behind the last frame that a segment which was set aside can have held.
    private(set) var quarantinedEnd = LogPosition.first
    private var quarantinedFirst = LogPosition.first
    /// Set when what was found could not be made durable: the log can be read only.
    private(set) var syncFailure: StorageError?

    /// Where the last batch begins: no later frame says that what follows here was ever synced.
    private var unconfirmed: (offset: UInt64, position: LogPosition)?

    /// A look at `folder`; `run` does the work.
    init(folder: String, storage: any FileStorage, window: RawBuffer) {
        self.folder = folder
        self.storage = storage
        self.window = window
    }

    /// Reads and repairs. Nothing is changed before all headers were read and none was of a newer format.
    mutating func run() throws(StorageError) {
        try storage.makeFolder(folder)
        var damaged: [(entry: FolderEntry, isUnfinished: Bool)] = []
        for entry in try storage.list(folder) where !entry.isFolder {
            if let first = SegmentName.quarantinedPosition(in: entry.name) { noteQuarantined(first, entry.bytes) }
            guard let first = SegmentName.position(in: entry.name) else { continue }
            if let header = try header(of: entry, first: first) {
                let path = StoragePath.join(folder, entry.name)
                segments.append(SegmentedLog.Segment(header: header, path: path, bytes: entry.bytes))
            } else {
                damaged.append((entry, try isUnfinished(entry)))
            }
        }
        for (entry, isUnfinished) in damaged where !(try mend(entry)) {
            try setAside(entry, isUnfinished: isUnfinished)
        }
        segments.sort { $0.header.first < $1.header.first }
        recovery.segments = segments.count
        // A later segment says better where the ones before it ended.
        if let last = segments.last, last.header.first > quarantinedFirst { quarantinedEnd = .first }
        if let last = segments.last { try recover(last) }
        do {
            try storage.syncFolder(folder)
        } catch {
            syncFailure = syncFailure ?? error
        }
    }

    /// The header of a segment file, nil when it is damaged. An error when its format is newer.
    func header(of entry: FolderEntry, first: LogPosition) throws(StorageError) -> SegmentHeader? {
        guard entry.bytes >= UInt64(SegmentHeader.byteCount) else { return nil }
        let path = StoragePath.join(folder, entry.name)
        window.grow(to: SegmentHeader.byteCount)
        do {
            let bytes = UnsafeMutableRawBufferPointer(rebasing: window.bytes[..<SegmentHeader.byteCount])
            try storage.open(path, .read).read(into: bytes, at: 0)
        } catch  where error.kind == .inputOutput {
            return nil
        }
        switch SegmentHeader.decode(window[0..<SegmentHeader.byteCount]) {
        case .valid(let header): return header.first == first ? header : nil
        case .damaged: return nil
        case .newer(let version):
            throw StorageError(
                .other, operation: "open", path: path,
                detail: "its format is version \(version), this program reads version \(SegmentHeader.version); "
                    + "nothing was changed, start the program that wrote it")
        }
    }

    /// Whether a crash came before the segment's header was durable: then no frame was ever written to it.
    private func isUnfinished(_ entry: FolderEntry) throws(StorageError) -> Bool {
        guard entry.bytes > UInt64(SegmentHeader.byteCount) else { return true }
        let file = try storage.open(StoragePath.join(folder, entry.name), .read)
        let header = SegmentHeader(salt: 0, first: .first)
        var scanner = SegmentScanner(file, header: header, end: entry.bytes, window: window)
        return try scanner.tornBytes() == 0 && scanner.unreadableBytes == 0
    }

    /// Writes a damaged header anew from what the segment's first frame tells of it; false where that tells nothing.
    private mutating func mend(_ entry: FolderEntry) throws(StorageError) -> Bool {
        guard let first = SegmentName.position(in: entry.name) else { return false }
        let path = StoragePath.join(folder, entry.name)
        guard let header = try mendedHeader(of: entry, path, first: first) else { return false }
        segments.append(SegmentedLog.Segment(header: header, path: path, bytes: entry.bytes))
        recovery.mended.append(path)
        do {
            let file = try storage.open(path, .readWrite)
            window.grow(to: SegmentHeader.byteCount)
            header.encode(into: UnsafeMutableRawBufferPointer(rebasing: window.bytes[..<SegmentHeader.byteCount]))
            try file.write(window[0..<SegmentHeader.byteCount], at: 0)
            try file.dataSync()
        } catch {
            // What stands in memory serves until the next start, which mends again.
            syncFailure = error
        }
        return true
    }

    private func mendedHeader(
        of entry: FolderEntry, _ path: String, first: LogPosition
    ) throws(StorageError) -> SegmentHeader? {
        let start = UInt64(SegmentHeader.byteCount)
        guard entry.bytes >= start + UInt64(FrameHeader.byteCount) else { return nil }
        func read(_ count: Int, _ file: any FileHandle) throws(StorageError) {
            window.grow(to: count)
            try file.read(into: UnsafeMutableRawBufferPointer(rebasing: window.bytes[..<count]), at: start)
        }
        do {
            let file = try storage.open(path, .read)
            try read(FrameHeader.byteCount, file)
            guard let wanted = SegmentHeader.bytesToMend(window[0..<FrameHeader.byteCount]),
                entry.bytes - start >= UInt64(wanted)
            else { return nil }
            try read(wanted, file)
            return SegmentHeader(mendedFrom: window[0..<wanted], first: first)
        } catch  where error.kind == .inputOutput {
            return nil
        }
    }

    private mutating func setAside(_ entry: FolderEntry, isUnfinished: Bool) throws(StorageError) {
        let path = StoragePath.join(folder, entry.name)
        if isUnfinished { return try storage.remove(path) }
        let aside = path + SegmentName.quarantineSuffix
        try storage.rename(path, to: aside)
        recovery.quarantined.append(aside)
        if let first = SegmentName.position(in: entry.name) { noteQuarantined(first, entry.bytes) }
    }

    private mutating func noteQuarantined(_ first: LogPosition, _ bytes: UInt64) {
        quarantinedFirst = max(quarantinedFirst, first)
        quarantinedEnd = max(quarantinedEnd, first.advanced(by: bytes / UInt64(FrameHeader.byteCount)))
    }

    /// Walks the last segment, cuts its torn tail and makes the rest durable.
    private mutating func recover(_ segment: SegmentedLog.Segment) throws(StorageError) {
        let file = try storage.open(segment.path, .readWrite)
        let size = try file.size()
        var scanner = SegmentScanner(file, header: segment.header, end: size, window: window)
        unconfirmed = (0, scanner.expected)
        var missing: [(position: LogPosition, damage: LogDamage)] = []
        walk: while true {
            let expected = scanner.expected
            switch try scanner.next() {
            case .frame(let header, let offset, _):
                if header.followsSync { unconfirmed = (offset, header.position) }
            case .damage(let bytes, let framesLost):
                missing.append((expected, LogDamage(path: segment.path, bytes: bytes, framesLost: framesLost)))
            case .end:
                break walk
            }
        }
        end = scanner.expected
        count(missing)
        let tornBytes = try scanner.tornBytes()
        recovery.unreadableBytes = scanner.unreadableBytes
        if recovery.unreadableBytes > 0 {
            // What the device does not give back now it may give back elsewhere: nothing is cut, nothing written over.
            noteQuarantined(end, size - scanner.offset)
            return
        }
        recovery.tornBytes = tornBytes
        if tornBytes > 0 { (recovery.tornPath, recovery.tornOffset) = (segment.path, scanner.offset) }
        var active = try ActiveSegment(
            continuing: file, header: segment.header, end: .init(offset: scanner.offset, position: end))
        do {
            try rewriteUnconfirmed(in: file, upTo: scanner.offset)
            try active.syncAll()
        } catch {
            syncFailure = error
        }
        // Nothing more is written to a segment with damage in it: the next append begins a new one.
        if missing.isEmpty { self.active = active } else { active.seal() }
    }

    /// Frames missing before the last batch had been synced; those of the last batch as a rule had not.
    private mutating func count(_ missing: [(position: LogPosition, damage: LogDamage)]) {
        for (position, damage) in missing {
            guard let unconfirmed, position < unconfirmed.position else {
                recovery.unconfirmedFramesLost += damage.framesLost
                continue
            }
            recovery.framesLost += damage.framesLost
            if recovery.damage.count < LogRecovery.damageMaximum { recovery.damage.append(damage) }
        }
    }

    /// Writes the last batch once more over itself. The process before may have died after a sync had failed: then its
    /// frames stand in the page cache, counted as clean, and a sync alone would answer yes without writing them.
    private func rewriteUnconfirmed(in file: any FileHandle, upTo end: UInt64) throws(StorageError) {
        guard var place = unconfirmed?.offset else { return }
        while place < end {
            let count = Int(min(end - place, 1 << 20))
            window.grow(to: count)
            try file.read(into: UnsafeMutableRawBufferPointer(rebasing: window.bytes[..<count]), at: place)
            try file.write(window[0..<count], at: place)
            place += UInt64(count)
        }
    }
}
