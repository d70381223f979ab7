/// What was read and checked lately, of all blocks together.
typealias PageCache = RecencyCache<PageKey, PageEntry>

/// A place in a block.
struct PageKey: Hashable, Sendable {
    /// The reader's number, so that a file of the same name later is not mistaken.
    var reader: UInt64
    var offset: UInt64
}

/// Something read of a block: a page's payload, or a strip header in the form it is used in, with columns that were
/// decoded.
enum PageEntry: MemoryHolding {
    case page(PaddedBytes)
    case strip(Strip)

    var memoryBytes: Int {
        switch self {
        case .page(let bytes): bytes.count
        case .strip(let strip): strip.memoryBytes
        }
    }
}
