/// The byte ranges of one origin that are stored, merged: a file read from end to end costs one range, in whatever
/// order its lines arrived.
struct IntervalSet: Sendable, Equatable {
    /// Rising, disjoint and not touching one another; none is empty.
    private(set) var ranges: [Range<UInt64>] = []

    /// An empty set.
    init() {}

    /// The union of `ranges`.
    init(_ ranges: some Sequence<Range<UInt64>>) {
        for range in ranges { insert(range) }
    }

    /// Whether every byte of `range` is stored. An empty range is.
    func contains(_ range: Range<UInt64>) -> Bool {
        if range.isEmpty { return true }
        let index = firstIndex(endingAfter: range.lowerBound)
        guard index < ranges.count else { return false }
        return ranges[index].lowerBound <= range.lowerBound && range.upperBound <= ranges[index].upperBound
    }

    /// Whether some byte of `range` is stored.
    func overlaps(_ range: Range<UInt64>) -> Bool {
        if range.isEmpty { return false }
        let index = firstIndex(endingAfter: range.lowerBound)
        return index < ranges.count && ranges[index].lowerBound < range.upperBound
    }

    /// Adds `range`.
    mutating func insert(_ range: Range<UInt64>) {
        if range.isEmpty { return }
        // The common case: the next line of a file that is read from its start.
        if let last = ranges.last, last.lowerBound <= range.lowerBound, range.lowerBound <= last.upperBound {
            ranges[ranges.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            return
        }
        // Ranges that touch the new one are merged too: the first that ends at or behind its start…
        let first = range.lowerBound == 0 ? 0 : firstIndex(endingAfter: range.lowerBound - 1)
        var merged = range
        var behind = first
        // …up to the last that starts at or before its end.
        while behind < ranges.count, ranges[behind].lowerBound <= merged.upperBound {
            let lower = min(merged.lowerBound, ranges[behind].lowerBound)
            merged = lower..<max(merged.upperBound, ranges[behind].upperBound)
            behind += 1
        }
        ranges.replaceSubrange(first..<behind, with: CollectionOfOne(merged))
    }

    /// Adds all of `other`.
    mutating func formUnion(_ other: IntervalSet) {
        for range in other.ranges { insert(range) }
    }

    /// The index of the first range whose end is behind `byte`; `ranges.count` when there is none.
    private func firstIndex(endingAfter byte: UInt64) -> Int {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound > byte { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
