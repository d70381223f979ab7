/// The segment that is written to: knows how far it is written, synced and preallocated.
struct ActiveSegment {
    /// A boundary between two frames.
    struct Place: Equatable {
        /// Of the next frame.
        var offset: UInt64
        var position: LogPosition
    }

    let file: any FileHandle
    let header: SegmentHeader
    /// Behind the last frame.
    private(set) var end: Place
    /// What lies before is durable.
    private(set) var synced: Place
    /// The size of the file; behind `end` it is preallocated zeros.
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
        end = Place(offset: UInt64(SegmentHeader.byteCount), position: header.first)
        synced = end
        fileBytes = end.offset
        let buffer = RawBuffer(capacity: SegmentHeader.byteCount)
        header.encode(into: buffer.bytes)
        try file.write(buffer[0..<SegmentHeader.byteCount], at: 0)
        try file.dataSync()
    }

    /// Goes on with a segment that ends at `end`. What lies behind is cut off.
    init(continuing file: any FileHandle, header: SegmentHeader, end: Place) throws(StorageError) {
        self.file = file
        self.header = header
        self.end = end
        synced = end
        fileBytes = end.offset
        try file.truncate(to: end.offset)
    }

    /// Whether it holds no frame.
    var isEmpty: Bool { end.offset == UInt64(SegmentHeader.byteCount) }
    /// Whether all of it is durable.
    var isSynced: Bool { end == synced && !cutIsUnsynced }

    /// Writes `count` whole frames behind the last one, preallocating in steps of `growthBytes`. When that fails (a
    /// full disk) nothing of them stays.
    mutating func append(
        _ frames: UnsafeRawBufferPointer, count: Int, growthBytes: UInt64
    ) throws(StorageError) {
        try removeLeftover()
        let newEnd = Place(
            offset: end.offset + UInt64(frames.count), position: end.position.advanced(by: UInt64(count)))
        if newEnd.offset > fileBytes { reserve(newEnd.offset, growthBytes: growthBytes) }
        do {
            try file.write(frames, at: end.offset)
        } catch {
            hasLeftover = true
            // If it fails now, it is tried again before the next write.
            try? removeLeftover()
            throw error
        }
        end = newEnd
        fileBytes = max(fileBytes, newEnd.offset)
    }

    /// Makes everything written durable. When that fails, everything that was not synced is given up and the segment
    /// must not be written to any more: see `syncFailure`.
    mutating func sync() throws(StorageError) {
        if !isSynced { try syncAll() }
    }

    /// Like `sync`, also when this process has written nothing: what it found may not be durable yet.
    mutating func syncAll() throws(StorageError) {
        do {
            try file.dataSync()
            synced = end
            cutIsUnsynced = false
        } catch {
            syncFailure = error
            // A later start must not find frames in the page cache that the disk does not have. The truncation may fail
            // too; then the log's memory is all there is.
            end = synced
            fileBytes = end.offset
            try? file.truncate(to: end.offset)
            throw error
        }
    }

    /// Gives back the preallocated room of a segment that will not be written to any more.
    mutating func seal() {
        guard fileBytes > end.offset, (try? file.truncate(to: end.offset)) != nil else { return }
        fileBytes = end.offset
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
        try file.truncate(to: end.offset)
        fileBytes = end.offset
        hasLeftover = false
        // Without the sync a power cut could bring whole frames of the failed write back, behind newer ones.
        cutIsUnsynced = true
        try sync()
    }
}
