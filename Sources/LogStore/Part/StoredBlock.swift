internal import Disk
internal import Telemetry

/// A block wherever it lies: in memory until its part is written, in a part's file afterwards. Columns are read and
/// restored one by one, only those that are asked for.
struct StoredBlock: Sendable {
    /// Where the stored columns are.
    enum Place: Sendable {
        case memory(LogBlock)
        case part(PartReader)
    }

    let summary: BlockSummary
    let place: Place

    /// A block that waits for its part.
    init(_ block: LogBlock) {
        summary = block.summary
        place = .memory(block)
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
        case .memory(let block): block
        case .part: nil
        }
    }

    /// Which object holds the block, for caches.
    var owner: AnyObject {
        switch place {
        case .memory(let block): block
        case .part(let part): part
        }
    }

    /// The templates' table, and the block's leaves in it.
    private func templates() throws -> (table: TemplateTable, leaves: [Int]) {
        switch place {
        case .memory(let block): return (block.table, block.leaves)
        case .part(let part):
            let table = part.footer.templates
            return (table, try column(.templates) { try BlockDecoder(summary: summary).templates($0, table: table) })
        }
    }

    /// Looks at every checksum of the lines without restoring them; throws where one does not hold.
    func checkLines() throws {
        let descriptions = try column(.descriptions) { try BlockDecoder(summary: summary).descriptions($0) }
        let (table, leaves) = try templates()
        let chunks = try descriptions.withUnsafeBytes { bytes in
            var parser = ColumnParser(bytes, chunkBytes: summary[.chunks], table: table, leaves: leaves)
            _ = try parser.block(summary)
            return parser.chunks
        }
        try column(.chunks) { stored in
            for chunk in chunks { _ = try BlockSource.chunk(stored, chunk) }
        }
    }

    /// What of the block cannot be read although its lines can, in words.
    func damageBesideLines() -> [String] {
        var found: [String] = []
        func check(_ cost: String, _ body: () throws -> Void) {
            do { try body() } catch { found.append("\(error); \(cost)") }
        }
        check("its structured metadata are missing from answers") { _ = try metadata() }
        check("lines that are sent once more are stored once more") {
            var columns = LineColumns()
            try restoreOrigins(&columns)
        }
        check("searches look into the block instead") { _ = try filter() }
        return found
    }

    /// Reads the block's descriptions; its columns are restored when they are asked for.
    func open() throws -> OpenBlock {
        let descriptions = try column(.descriptions) { try BlockDecoder(summary: summary).descriptions($0) }
        let (table, leaves) = try templates()
        return try OpenBlock(
            summary, descriptions: descriptions, table: table, tableOwner: ObjectIdentifier(owner), leaves: leaves
        ) {
            try column(.chunks) { Array($0) }
        }
    }

    /// The block as it was encoded, for another part. Its chunks are not looked into.
    func copy() throws -> LogBlock {
        switch place {
        case .memory(let block): return block
        case .part(let part):
            let leaves = try column(.templates) {
                try BlockDecoder(summary: summary).templates($0, table: part.footer.templates)
            }
            var interner = TemplateInterner()
            let own = leaves.map { interner.leaf($0, of: part.footer.templates) }
            let start = summary.start(of: .descriptions)
            let body = try PartReader.read(
                part.object, at: summary.offset + UInt64(start), bytes: summary.storedBytes - start)
            let filter =
                summary.filterBytes == 0
                ? [] : try PartReader.read(part.object, at: summary.filterOffset, bytes: summary.filterBytes)
            return LogBlock(copying: summary, table: interner.table, leaves: own, body: body, filter: filter)
        }
    }

    /// The block's filter; nil when it has none.
    func filter() throws -> WordFilter? {
        guard summary.filterBytes > 0 else { return nil }
        let stored: [UInt8]
        switch place {
        case .memory(let block): stored = block.filter
        case .part(let part):
            stored = try PartReader.read(part.object, at: summary.filterOffset, bytes: summary.filterBytes)
        }
        return try stored.withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            let raw = try Section.read(from: &reader, bytesMaximum: WordFilter.bytesMaximum, "filter")
            return try raw.withUnsafeBytes { try WordFilter(decoding: $0) }
        }
    }

    /// The structured metadata, ordered by line.
    func metadata() throws -> [LogLineMetadata] {
        guard summary.hasMetadata else { return [] }
        return try column(.metadata) { try BlockDecoder(summary: summary).metadata($0) }
    }

    /// Everything, origins included.
    func columns() throws -> LineColumns {
        var columns = LineColumns()
        try restoreLines(&columns)
        columns.metadata = try metadata()
        try restoreOrigins(&columns)
        return columns
    }

    /// Times and lines.
    func restoreLines(_ columns: inout LineColumns) throws {
        let open = try open()
        columns.timesNanoseconds = try open.times()
        columns.bytes.reserveCapacity(summary.rawBytes)
        columns.lineEnds.reserveCapacity(summary.lines)
        try open.complete().append(0..<Int32(summary.lines), to: &columns.bytes, ends: &columns.lineEnds)
        guard columns.bytes.count == summary.rawBytes else {
            throw FormatError("lines differ in length from the index")
        }
    }

    /// Where the lines come from.
    func restoreOrigins(_ columns: inout LineColumns) throws {
        guard summary[.origins] > 0 else { return }
        try column(.origins) { stored in
            try BlockDecoder(summary: summary).origins(stored, into: &columns)
        }
    }

    private func column<Value>(
        _ column: BlockSummary.Column, _ body: (UnsafeRawBufferPointer) throws -> Value
    ) throws -> Value {
        let start = summary.start(of: column)
        let length = summary[column]
        switch place {
        case .memory(let block):
            return try block.body.withUnsafeBytes { bytes in
                try body(UnsafeRawBufferPointer(rebasing: bytes[start..<start + length]))
            }
        case .part(let part):
            let bytes = try PartReader.read(part.object, at: summary.offset + UInt64(start), bytes: length)
            return try bytes.withUnsafeBytes { try body($0) }
        }
    }
}
