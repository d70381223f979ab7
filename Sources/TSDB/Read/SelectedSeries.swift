internal import Telemetry

/// The series of one index that satisfy some matchers, in the order of their labels.
final class SelectedSeries: MemoryHolding {
    /// One of them.
    struct Element: Sendable {
        let labels: Labels
        /// Its number in the index.
        let number: UInt32
        /// The place of its group in the block; 0 in the head.
        let group: UInt32
    }

    let elements: [Element]
    /// An estimate of the memory held.
    let memoryBytes: Int
    /// Of the index, where it changes.
    let version: UInt64

    /// Elements in any order.
    init(_ elements: consuming [Element], version: UInt64 = 0) {
        var elements = elements
        elements.sort { $0.labels < $1.labels }
        self.elements = elements
        self.version = version
        memoryBytes = elements.reduce(64) { $0 + $1.labels.encoded.count + 32 + MemoryLayout<Element>.stride }
    }
}

/// What selectors found lately: a dashboard and a rule ask for the same series again and again, and finding and
/// ordering them costs more than reading a sample of each.
typealias SelectionCache = RecencyCache<SelectionKey, SelectedSeries>

/// Matchers on one index: that of a block by its reader's number, or the head's, which is 0.
struct SelectionKey: Hashable, Sendable {
    var reader: UInt64
    var matchers: [LabelMatcher]
}
