/// A crash-safe log of records in segment files: the write-ahead log of the databases, the agent's spool, the journal.
///
/// One owner, one thread, no locks; `GroupCommitLog` puts a thread around it. A record counts as kept once `sync`
/// returned. A failed sync poisons the log: later appends are refused, reading goes on. A full disk refuses an append
/// and nothing else; the log goes on by itself when there is room again.
package final class SegmentedLog {
    /// What a log is tuned by.
    package struct Options: Sendable {
        /// A segment of this size is closed and the next one begun; a batch is never split, so one may be larger. On a
        /// small disk segments are smaller.
        package var segmentBytes: UInt64
        /// Space is taken from the file system in steps of this size; 0 takes it as it is written.
        package var growthBytes: UInt64
        /// Where the salts of new segments come from; a test gives its own to be repeatable.
        package var salt: @Sendable () -> UInt64

        /// The defaults suit a server's write-ahead log.
        package init(
            segmentBytes: UInt64 = 64 << 20, growthBytes: UInt64 = 4 << 20,
            salt: @escaping @Sendable () -> UInt64 = { UInt64.random(in: .min ... .max) }
        ) {
            self.segmentBytes = segmentBytes
            self.growthBytes = growthBytes
            self.salt = salt
        }

        /// Options whose segments suit the disk at hand: a 64th of it, between 1 MiB and `segmentBytes`. Opening a log
        /// does this by itself.
        package func fitted(to space: FileSystemSpace) -> Options {
            var fitted = self
            fitted.segmentBytes = min(segmentBytes, max(1 << 20, space.totalBytes / 64))
            fitted.growthBytes = min(growthBytes, fitted.segmentBytes / 4)
            return fitted
        }
    }

    /// A segment file, open or closed.
    struct Segment {
        let header: SegmentHeader
        let path: String
        /// The size of the file; for the active one, `ActiveSegment` knows better.
        var bytes: UInt64
    }

    /// The folder that holds the segments and nothing else.
    package let folder: String
    /// What opening found and did.
    package let recovery: LogRecovery
    /// Why the log refuses appends for good, nil while it does not.
    package private(set) var poison: StorageError?
    /// Records that every segment must begin with, so that it can be read on its own (full rows, declarations). Asked
    /// for, on the owner's thread, in front of the first append to each segment.
    package var segmentPreamble: (() -> [LogRecord])?

    /// Buffers that a large record has made larger are not kept.
    static let keptBytes = 1 << 20

    let storage: any FileStorage
    private let options: Options
    private let scratch = RawBuffer()
    /// Ordered by position; the last one is active when `active` is not nil.
    private(set) var segments: [Segment]
    private(set) var active: ActiveSegment?
    /// The first position of the next segment, while none is active.
    private var nextFirst: LogPosition
    private var preamble: [LogRecord]?
    let reader: LogReader

    /// Opens the log in `folder`, made when absent, and recovers from a crash: cuts a torn tail, makes durable what it
    /// keeps, sets aside a segment whose first bytes are damaged. Takes bounded memory however large the log is.
    ///
    /// Positions below `atLeast` are never given to new records: pass what snapshots and marks elsewhere refer to, so
    /// that they stay true even if damage took the log's last frames. A segment of a newer format is refused
    /// untouched.
    package init(
        folder: String, in storage: any FileStorage, options: Options = Options(), atLeast: LogPosition = .first
    ) throws(StorageError) {
        let window = RawBuffer()
        reader = LogReader(window)
        var opening = LogOpening(folder: folder, storage: storage, window: window)
        try opening.run()
        self.folder = folder
        self.storage = storage
        self.options = options.fitted(to: try storage.space(at: folder))
        recovery = opening.recovery
        poison = opening.syncFailure
        segments = opening.segments
        active = opening.active
        nextFirst = opening.end
        let floor = max(atLeast, opening.quarantinedEnd)
        if floor > nextFirst {
            // The next append begins a segment at the new position.
            active?.seal()
            active = nil
            nextFirst = floor
        }
    }

    /// The position of the next frame.
    package var endPosition: LogPosition { active?.end.position ?? nextFirst }

    /// The position behind the last frame that is known to be durable.
    package var syncedPosition: LogPosition { active?.synced.position ?? nextFirst }

    /// The position of the first frame that is still there; equal to `endPosition` when there is none.
    package var firstPosition: LogPosition { segments.first?.header.first ?? endPosition }

    /// The number of segment files.
    package var segmentCount: Int { segments.count }

    /// The sizes of all segment files, preallocated room included.
    package var bytesOnDisk: UInt64 {
        let closed = segments.reduce(0) { $0 + $1.bytes }
        guard let active, let last = segments.last else { return closed }
        return closed - last.bytes + active.fileBytes
    }

    /// Whether everything appended is durable.
    package var isSynced: Bool { active?.isSynced ?? true }

    /// Appends one record and returns its position. It is kept once `sync` returned.
    package func append(kind: UInt8, _ payload: [UInt8]) throws(StorageError) -> LogPosition {
        try append([LogRecord(kind: kind, payload: payload)])
    }

    /// Appends records with one write, all or none of them, and returns the position of the first; the others follow
    /// it.
    package func append(_ records: [LogRecord]) throws(StorageError) -> LogPosition {
        try begin()
        for record in records where record.payload.count > LogRecord.payloadBytesMaximum {
            throw refusal("a record of \(record.payload.count) bytes; at most \(LogRecord.payloadBytesMaximum) fit")
        }
        guard var segment = active else { throw refusal("no segment is open") }
        let preamble = segment.isEmpty ? self.preamble ?? [] : []
        let first = segment.end.position.advanced(by: UInt64(preamble.count))
        let bytes = encode(preamble + records, into: segment)
        // Asked for anew when this fails: by then the caller may have more to say.
        self.preamble = nil
        defer {
            adopt(segment)
            scratch.shrink(to: Self.keptBytes)
        }
        try segment.append(bytes, count: preamble.count + records.count, growthBytes: options.growthBytes)
        return first
    }

    /// Prepares for the next append: closes a full segment, begins one where there is none, and asks for the preamble
    /// of an empty one. `append` does it by itself; a caller whose records depend on what the segment holds calls it
    /// first.
    package func begin() throws(StorageError) {
        if let poison { throw refusal(poison) }
        if let segment = active, segment.end.offset >= options.segmentBytes, !segment.isEmpty { try rotate() }
        if active == nil { try beginSegment() }
        if preamble == nil, active?.isEmpty == true { preamble = segmentPreamble?() ?? [] }
    }

    /// Makes everything appended durable (one fdatasync). When it fails, what was not synced before is given up and the
    /// log is poisoned: what a failed sync left behind is unknown, and a second one would lie.
    package func sync() throws(StorageError) {
        if let poison { throw refusal(poison) }
        guard var segment = active else { return }
        defer { adopt(segment) }
        try segment.sync()
    }

    /// Closes the active segment, after a sync, and begins the next one, so that `cut` may remove it. Does nothing
    /// while the active segment is empty.
    package func rotate() throws(StorageError) {
        try sync()
        if let segment = active, segment.isEmpty { return }
        if var segment = active {
            segment.seal()
            segments[segments.count - 1].bytes = segment.fileBytes
            nextFirst = segment.end.position
            active = nil
        }
        try beginSegment()
    }

    /// Removes the segments whose frames all lie before `position`; the last segment always stays.
    package func cut(before position: LogPosition) throws(StorageError) {
        var removed = false
        while segments.count > 1, segments[1].header.first <= position {
            try storage.remove(segments[0].path)
            segments.removeFirst()
            removed = true
        }
        if removed { try storage.syncFolder(folder) }
    }
}

extension SegmentedLog {
    /// Takes back the active segment and what it has learned.
    private func adopt(_ segment: ActiveSegment) {
        active = segment
        guard poison == nil, let failure = segment.syncFailure else { return }
        poison = failure
        preamble = nil
        reader.forgetPlace()
    }

    private func beginSegment() throws(StorageError) {
        let header = SegmentHeader(salt: options.salt(), first: endPosition)
        let path = StoragePath.join(folder, SegmentName.name(of: endPosition))
        var isNew = false
        do {
            // A file of that name can only be what an earlier try, on a full disk, could not remove.
            let file = try storage.open(path, .createOrOpen)
            isNew = true
            try file.truncate(to: 0)
            active = try ActiveSegment(creating: file, header: header)
            try storage.syncFolder(folder)
        } catch {
            active = nil
            if isNew { try? storage.remove(path) }
            // After anything but a full disk nobody knows what the medium still keeps.
            if error.kind == .inputOutput { poison = error }
            throw error
        }
        segments.append(Segment(header: header, path: path, bytes: UInt64(SegmentHeader.byteCount)))
    }

    private func encode(_ records: [LogRecord], into segment: ActiveSegment) -> UnsafeRawBufferPointer {
        let total = records.reduce(0) { $0 + FrameHeader.byteCount + $1.payload.count }
        scratch.grow(to: total)
        var place = 0
        for (index, record) in records.enumerated() {
            let header = FrameHeader(
                payloadBytes: record.payload.count, position: segment.end.position.advanced(by: UInt64(index)),
                kind: record.kind, followsSync: index == 0 && segment.isSynced)
            let bytes = UnsafeMutableRawBufferPointer(rebasing: scratch.bytes[place..<place + header.frameBytes])
            record.payload.withUnsafeBytes { header.encode($0, into: bytes, seed: segment.header.seed) }
            place += header.frameBytes
        }
        return scratch[0..<total]
    }

    private func refusal(_ poison: StorageError) -> StorageError {
        StorageError(
            poison.kind, operation: "append", path: folder, code: poison.code,
            detail:
                "refused since \(poison.operation) failed on \(poison.path): what was acknowledged is kept and can be "
                + "read; check the device, then start again")
    }

    private func refusal(_ words: String) -> StorageError {
        StorageError(.other, operation: "append", path: folder, detail: words)
    }
}
