internal import Disk
internal import Telemetry

/// The constants of the block file. docs/formats/metric-block.md has the layout and its history.
enum BlockFormat {
    /// The version written; readers of a later one also read this.
    static let version: UInt8 = 3
    /// The oldest version that is read.
    static let versionMinimum: UInt8 = 2
    /// From this version on a footer says how the block came to be.
    static let historyVersion: UInt8 = 3
    /// "VMB" and a byte that no text has.
    static let magic: UInt32 = 0xB142_4D56
    /// Magic, version, reserved bytes, salt.
    static let headerByteCount = 16
    /// Footer offset, footer length, checksum, version, magic.
    static let trailerByteCount = 24
    /// A page with its header: what is read, and checked, at once.
    static let pageByteCount = 64 << 10
    /// Kind, reserved bytes, payload length, checksum.
    static let pageHeaderByteCount = 12
    /// What fits into a page.
    static let pagePayloadByteCount = pageByteCount - pageHeaderByteCount
    /// Two hours at 15 s, eight minutes at 1 s, and a few rows of grace: longer chunks gain little (research: 0.822
    /// bytes per sample at 120 rows, 0.789 at 480).
    static let stripRowsMaximum = 512
    /// Shorter strips were written because memory was short: they will be merged, so they are packed to be read fast.
    static let sealedRowsMinimum = 120
    /// So that the header of a strip of ordinary columns fits into one page.
    static let stripColumnsMaximum = 1024
    /// The bit of a section's kind that says that it is compressed.
    static let compressedFlag: UInt8 = 0x80
    /// Sections and footers larger than this are damage: no block of ours comes near it.
    static let sectionByteCountMaximum = 1 << 30

    /// What a page holds.
    enum PageKind: UInt8 {
        case stripHeader = 1
        case columns = 2
    }

    /// A part of the index, loaded and checked as a whole. Readers skip kinds they do not know.
    enum SectionKind: UInt8, CaseIterable {
        case symbols = 1
        /// Label sets of series, without what all series of a group have.
        case entries = 2
        case postings = 3
        case groups = 4
    }

    /// What the checksums of a file continue from, so that bytes of another file never pass.
    static func seed(salt: UInt64) -> UInt32 { withUnsafeBytes(of: salt.littleEndian) { crc32c($0) } }

    /// The checksum of something at `offset`, so that bytes at a wrong place never pass.
    static func checksum(_ bytes: UnsafeRawBufferPointer, at offset: UInt64, seed: UInt32) -> UInt32 {
        let placed = withUnsafeBytes(of: offset.littleEndian) { crc32c($0, continuing: seed) }
        return crc32c(bytes, continuing: placed)
    }
}

/// Bytes of a block file that are not what was written.
struct BlockDamage: Error, Sendable, Equatable, CustomStringConvertible {
    var path: String
    var offset: UInt64
    var reason: String

    var description: String { "block \(path) is damaged at byte \(offset): \(reason)" }
}

/// Where a strip stands in its file, and which series and times it may hold.
struct StripLocation: Sendable, Equatable {
    /// The offset of the header page.
    var offset: UInt64
    /// The header page with its page header.
    var headerByteCount: Int
    /// All bytes of the column pages behind the header page, without their page headers.
    var streamByteCount: Int
    /// The first and last series number with a column.
    var ordinals: ClosedRange<UInt32>
    var times: TimeRange
    var sampleCount: Int
}

/// A group of series that share their timestamps: one target.
struct BlockGroup: Sendable, Equatable {
    var target: Labels
    /// Its series, numbered in a row.
    var ordinals: Range<UInt32>
    /// The labels that all its series have, names rising.
    var common: [SymbolPair] = []
    /// The label sets that its series have beside those, in the order of their numbers.
    var entries = Postings()
    /// Everything of the group up to this place of the log is in this block or an earlier one.
    var sealedThrough: LogPosition
    /// In time order, then by series.
    var strips: [StripLocation]
}

/// A label as symbols of its block.
struct SymbolPair: Sendable, Equatable {
    var name: UInt32
    var value: UInt32
}

/// The name of a block: a number of its own. Before format 3 a merged block had the range of its inputs, and a block
/// whose range lay within another's was merged into it.
struct BlockSequence: Hashable, Sendable, Comparable {
    var first: UInt64
    var last: UInt64

    /// Whether `other` was merged into this one.
    func covers(_ other: BlockSequence) -> Bool { first <= other.first && other.last <= last && self != other }

    static func < (left: BlockSequence, right: BlockSequence) -> Bool {
        (left.first, left.last) < (right.first, right.last)
    }
}
