internal import Disk
internal import Telemetry

/// A block wherever it lies: in memory until its part is written, in a part's file afterwards. Columns are read and
/// restored one by one, only those that are asked for.
struct StoredBlock: Sendable {
    /// Where the stored columns are.
    enum Place: Sendable {
        case memory([UInt8])
        case part(PartReader)
    }

    let summary: BlockSummary
    let place: Place

    /// A block that waits for its part.
    init(_ block: LogBlock) {
        summary = block.summary
        place = .memory(block.bytes)
    }

    /// A block of a part.
    init(_ part: PartReader, _ summary: BlockSummary) {
        self.summary = summary
        place = .part(part)
    }

    /// The file, for messages.
    var path: String {
        switch place {
        case .memory: "memory"
        case .part(let part): part.path
        }
    }

    /// Whether reading it is reading a file.
    var isInPart: Bool {
        switch place {
        case .memory: false
        case .part: true
        }
    }

    /// The block while it waits for its part.
    var inMemory: LogBlock? {
        switch place {
        case .memory(let bytes): LogBlock(summary: summary, bytes: bytes)
        case .part: nil
        }
    }

    /// The times of the lines, rising.
    func times() throws -> [Int64] { try column(.times) { try BlockDecoder(summary: summary).times($0) } }

    /// The ends of the lines within the line bytes.
    func lineEnds() throws -> [Int] { try column(.lengths) { try BlockDecoder(summary: summary).lineEnds($0) } }

    /// The lines, back to back.
    func lineBytes() throws -> [UInt8] { try column(.lines) { try BlockDecoder(summary: summary).lineBytes($0) } }

    /// The structured metadata, ordered by line.
    func metadata() throws -> [LogLineMetadata] {
        guard summary.hasMetadata else { return [] }
        return try column(.metadata) { try BlockDecoder(summary: summary).metadata($0) }
    }

    /// Everything, origins included.
    func columns() throws -> LineColumns {
        var columns = LineColumns()
        columns.timesNanoseconds = try times()
        columns.lineEnds = try lineEnds()
        columns.bytes = try lineBytes()
        columns.metadata = try metadata()
        if summary[.origins] > 0 {
            try column(.origins) { stored in
                try BlockDecoder(summary: summary).origins(stored, into: &columns)
            }
        }
        return columns
    }

    private func column<Value>(
        _ column: BlockSummary.Column, _ body: (UnsafeRawBufferPointer) throws -> Value
    ) throws -> Value {
        let start = summary.start(of: column)
        let length = summary[column]
        switch place {
        case .memory(let bytes):
            return try bytes.withUnsafeBytes { bytes in
                try body(UnsafeRawBufferPointer(rebasing: bytes[start..<start + length]))
            }
        case .part(let part):
            let bytes = try PartReader.read(part.object, at: summary.offset + UInt64(start), bytes: length)
            return try bytes.withUnsafeBytes { try body($0) }
        }
    }
}
