internal import Disk
internal import Synchronization
internal import Telemetry

/// A block that is part of the database: its reader, and what is known about its health.
final class Block: Sendable {
    let reader: BlockReader
    /// Its file's name in the folder of blocks.
    let name: String
    /// The first damage met in it; its index may be unreadable or only a page.
    let damage = Mutex<BlockDamage?>(nil)

    var sequence: BlockSequence { reader.footer.sequence }
    var history: BlockHistory { reader.footer.history }
    var times: TimeRange { reader.footer.times }

    /// A block whose footer was read.
    init(reader: BlockReader, name: String) {
        self.reader = reader
        self.name = name
    }

    /// Whether `other` was merged into this one.
    func replaces(_ other: Block) -> Bool {
        history.replaced?.contains(other.sequence) ?? sequence.covers(other.sequence)
    }

    /// Whether this one's samples came before those of `other`.
    func precedes(_ other: Block) -> Bool {
        (history.rank, sequence) < (other.history.rank, other.sequence)
    }

    /// Remembers that something in it is damaged, so that it is told and never merged away.
    func note(_ found: BlockDamage) { damage.withLock { $0 = $0 ?? found } }
}

extension BlockSequence {
    private static let suffix = ".block"

    /// The file name: both numbers in 16 digits, so that names sort as numbers.
    var fileName: String { "\(Self.digits(first))-\(Self.digits(last))\(Self.suffix)" }

    /// The numbers in a file name; nil when it is none of a block.
    init?(fileName: String) {
        guard fileName.hasSuffix(Self.suffix) else { return nil }
        let pieces = fileName.dropLast(Self.suffix.count).split(separator: "-", omittingEmptySubsequences: false)
        guard pieces.count == 2, let first = UInt64(pieces[0]), let last = UInt64(pieces[1]), first <= last, first > 0
        else { return nil }
        self.init(first: first, last: last)
        guard self.fileName == fileName else { return nil }
    }

    private static func digits(_ number: UInt64) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, 16 - text.count)) + text
    }
}
