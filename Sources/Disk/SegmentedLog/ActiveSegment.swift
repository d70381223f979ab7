/// The segment that is written to: knows how far it is written, synced and preallocated.
struct ActiveSegment {
    let file: any FileHandle
    let header: SegmentHeader
    /// The offset of the next frame.
    private(set) var end: UInt64
    /// What lies before this offset is durable.
    private(set) var syncedEnd: UInt64
    /// The size of the file; from `end` on it is preallocated zeros.
    private(set) var fileBytes: UInt64
    /// Why a sync failed; nothing may be written after that.
    private(set) var syncFailure: StorageError?
    /// Set when a failed write may have left bytes behind `end` which must go before anything else is written.
    private var hasLeftover = false
    /// Set when such bytes were cut off and the disk may not know it yet.
    private var cutIsUnsynced = false

    /// Begins a new segment in an empty file. The header is durable when this returns.
    init(creating file: any FileHandle, header: SegmentHeader) throws(StorageError) {
        self.file = file
        self.header = header
        end = UInt64(SegmentHeader.byteCount)
        syncedEnd = end
        fileBytes = end
        let buffer = RawBuffer(capacity: SegmentHeader.byteCount)
        header.encode(into: buffer.bytes)
        try file.write(buffer[0..<SegmentHeader.byteCount], at: 0)
        try file.dataSync()
    }

    /// Goes on with a segment that ends at `end`. What lies behind is cut off.
    init(continuing file: any FileHandle, header: SegmentHeader, end: UInt64) throws(StorageError) {
        self.file = file
        self.header = header
        self.end = end
        syncedEnd = end
        fileBytes = end
        try file.truncate(to: end)
    }

    /// Whether it holds no frame.
    var isEmpty: Bool { end == UInt64(SegmentHeader.byteCount) }
    /// Whether all of it is durable.
    var isSynced: Bool { end == syncedEnd && !cutIsUnsynced }

    /// Writes whole frames behind the last one, preallocating in steps of `growthBytes`. When that fails (a full disk)
    /// nothing of them stays.
    mutating func append(_ frames: UnsafeRawBufferPointer, growthBytes: UInt64) throws(StorageError) {
        try removeLeftover()
        let newEnd = end + UInt64(frames.count)
        if newEnd > fileBytes { reserve(newEnd, growthBytes: growthBytes) }
        do {
            try file.write(frames, at: end)
        } catch {
            hasLeftover = true
            // If it fails now, it is tried again before the next write.
            try? removeLeftover()
            throw error
        }
        end = newEnd
        fileBytes = max(fileBytes, newEnd)
    }

    /// Makes everything written durable. When that fails, everything that was not synced is given up and the segment must
    /// not be written to any more: see `syncFailure`.
    mutating func sync() throws(StorageError) {
        if !isSynced { try syncAll() }
    }

    /// Like `sync`, also when this process has written nothing: what it found may not be durable yet.
    mutating func syncAll() throws(StorageError) {
        do {
            try file.dataSync()
            syncedEnd = end
            cutIsUnsynced = false
        } catch {
            syncFailure = error
            // A later start must not find frames in the page cache that the disk does not have. The truncation may fail
            // too; then the log's memory is all there is.
            end = syncedEnd
            fileBytes = end
            try? file.truncate(to: end)
            throw error
        }
    }

    /// Gives back the preallocated room of a segment that will not be written to any more.
    mutating func seal() {
        guard fileBytes > end, (try? file.truncate(to: end)) != nil else { return }
        fileBytes = end
    }

    /// Preallocation is a convenience: without room for a whole step the write itself decides.
    private mutating func reserve(_ bytes: UInt64, growthBytes: UInt64) {
        guard growthBytes > 0 else { return }
        let (steps, rest) = bytes.quotientAndRemainder(dividingBy: growthBytes)
        let wanted = (steps + (rest == 0 ? 0 : 1)) * growthBytes
        if (try? file.allocate(upTo: wanted)) != nil { fileBytes = wanted }
    }

    private mutating func removeLeftover() throws(StorageError) {
        guard hasLeftover else { return }
        try file.truncate(to: end)
        fileBytes = end
        hasLeftover = false
        // Without the sync a power cut could bring whole frames of the failed write back, behind newer ones.
        cutIsUnsynced = true
        try sync()
    }
}
