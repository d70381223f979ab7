internal import Telemetry

/// Lays out a part: anchor, blocks, footer, footer again, anchor. Everything is known before the first byte is written,
/// so a part is written from its start to its end.
struct PartWriter {
    let footer: PartFooter
    private let pieces: [[UInt8]]
    private let footerBytes: [UInt8]
    private let blocksBytes: Int

    /// A part of `blocks`, each with the number of its stream; they are ordered by stream and arrival. `footer` has
    /// everything but the block index and the templates.
    init(_ footer: PartFooter, blocks: [(stream: Int, block: LogBlock)]) {
        var footer = footer
        var interner = TemplateInterner()
        var pieces: [[UInt8]] = []
        var offset = UInt64(PartAnchor.bytes)
        footer.blocks = []
        for (stream, block) in blocks {
            let templates = LogBlock.templates(block.leaves.map { interner.leaf($0, of: block.table) })
            var summary = block.summary
            summary.stream = stream
            summary.offset = offset
            summary[.templates] = templates.count
            pieces.append(templates)
            pieces.append(block.body)
            offset += UInt64(templates.count + block.body.count)
            footer.blocks.append(summary)
        }
        // All filters lie together: a search for a word reads them in one go, and blocks only where they say yes.
        for (index, (_, block)) in blocks.enumerated() where !block.filter.isEmpty {
            footer.blocks[index].filterOffset = offset
            pieces.append(block.filter)
            offset += UInt64(block.filter.count)
        }
        footer.templates = interner.table
        self.footer = footer
        self.pieces = pieces
        blocksBytes = Int(offset) - PartAnchor.bytes
        footerBytes = footer.encoded()
    }

    /// The length of the file.
    var fileBytes: Int { 2 * PartAnchor.bytes + blocksBytes + 2 * footerBytes.count }

    /// Hands out the file's bytes in order.
    func forEachPiece<Failure: Error>(_ body: ([UInt8]) throws(Failure) -> Void) throws(Failure) {
        let first = UInt64(PartAnchor.bytes + blocksBytes)
        try body(PartAnchor(footerOffset: first, footerBytes: footerBytes.count).encoded())
        for piece in pieces { try body(piece) }
        try body(footerBytes)
        try body(footerBytes)
        let second = first + UInt64(footerBytes.count)
        try body(PartAnchor(footerOffset: second, footerBytes: footerBytes.count).encoded())
    }

    /// The whole file, for tests and small parts.
    func encoded() -> [UInt8] {
        var all: [UInt8] = []
        all.reserveCapacity(fileBytes)
        forEachPiece { all += $0 }
        return all
    }
}
