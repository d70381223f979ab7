internal import Telemetry

/// The buckets of one side of a native histogram as pairs of index and count, ordered by index.
struct BucketRun<Count: Sendable>: Sendable {
    private(set) var indexes: [Int32] = []
    var counts: [Count] = []

    init() {}

    /// Spreads spans out; buckets beyond the counts are left out.
    init(_ spans: [NativeHistogram.Span], _ spanCounts: [Count]) {
        var index: Int32 = 0
        indexes.reserveCapacity(spanCounts.count)
        for span in spans {
            index = index &+ span.offset
            for _ in 0..<span.length where indexes.count < spanCounts.count {
                indexes.append(index)
                index = index &+ 1
            }
        }
        counts = Array(spanCounts.prefix(indexes.count))
    }

    mutating func append(_ index: Int32, _ count: Count) {
        indexes.append(index)
        counts.append(count)
    }

    /// The run as spans of adjacent buckets.
    var spans: [NativeHistogram.Span] {
        var spans: [NativeHistogram.Span] = []
        var next: Int32 = 0
        for index in indexes {
            if index == next, !spans.isEmpty {
                spans[spans.count - 1].length += 1
            } else {
                spans.append(NativeHistogram.Span(offset: index &- next, length: 1))
            }
            next = index &+ 1
        }
        return spans
    }

    /// The run with other counts, without the buckets for which `change` yields nil.
    func compactMap<Other>(_ change: (Int32, Count) -> Other?) -> BucketRun<Other> {
        var result = BucketRun<Other>()
        for (index, count) in zip(indexes, counts) {
            if let other = change(index, count) { result.append(index, other) }
        }
        return result
    }

    /// The run with indexes mapped, which must keep their order; counts that meet are combined.
    func mapIndexes(_ change: (Int32) -> Int32, _ combine: (inout Count, Count) -> Void) -> BucketRun {
        var result = BucketRun()
        for (index, count) in zip(indexes, counts) {
            let target = change(index)
            if result.indexes.last == target {
                combine(&result.counts[result.counts.count - 1], count)
            } else {
                result.append(target, count)
            }
        }
        return result
    }

    /// Both runs in one: `combine` where both have a bucket, `adopt` where only the other has.
    func merged<Other>(
        with other: BucketRun<Other>, adopt: (Other) -> Count, combine: (inout Count, Other) -> Void
    ) -> BucketRun {
        var result = BucketRun()
        var left = 0
        var right = 0
        while left < indexes.count || right < other.indexes.count {
            let isLeft = right == other.indexes.count || (left < indexes.count && indexes[left] <= other.indexes[right])
            let isRight =
                left == indexes.count || (right < other.indexes.count && other.indexes[right] <= indexes[left])
            if isLeft {
                var count = counts[left]
                if isRight { combine(&count, other.counts[right]) }
                result.append(indexes[left], count)
                left += 1
            } else {
                result.append(other.indexes[right], adopt(other.counts[right]))
            }
            if isRight { right += 1 }
        }
        return result
    }
}
