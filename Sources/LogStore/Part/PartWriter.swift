internal import Telemetry

/// Lays out a part: anchor, blocks, footer, footer again, anchor. Everything is known before the first byte is written,
/// so a part is written from its start to its end.
struct PartWriter {
    let footer: PartFooter
    private let blocks: [[UInt8]]
    private let footerBytes: [UInt8]
    private let blocksBytes: Int

    /// A part of `blocks`, which are ordered by stream and arrival; `footer` has everything but the block index.
    init(_ footer: PartFooter, blocks: [LogBlock]) {
        var footer = footer
        var offset = UInt64(PartAnchor.bytes)
        footer.blocks = blocks.map { block in
            var summary = block.summary
            summary.offset = offset
            offset += UInt64(block.bytes.count)
            return summary
        }
        self.footer = footer
        self.blocks = blocks.map(\.bytes)
        blocksBytes = Int(offset) - PartAnchor.bytes
        footerBytes = footer.encoded()
    }

    /// The length of the file.
    var fileBytes: Int { 2 * PartAnchor.bytes + blocksBytes + 2 * footerBytes.count }

    /// Hands out the file's bytes in order.
    func forEachPiece<Failure: Error>(_ body: ([UInt8]) throws(Failure) -> Void) throws(Failure) {
        let first = UInt64(PartAnchor.bytes + blocksBytes)
        try body(PartAnchor(footerOffset: first, footerBytes: footerBytes.count).encoded())
        for block in blocks { try body(block) }
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
