/// What a store refuses to keep, because no query could make sense of it.
extension NativeHistogram {
    /// The exponential schemas, from the coarsest to the finest.
    public static let exponentialSchemas: ClosedRange<Int32> = -4...8

    /// Why the histogram cannot be right; nil when it can. The rules, and where they exist the words, are those of
    /// Prometheus' `Histogram.Validate` and `FloatHistogram.Validate`.
    public var flaw: String? {
        if let flaw = usesCustomBuckets ? flawOfCustomBuckets : flawOfExponentialBuckets { return flaw }
        for (side, spans, counts) in [
            ("positive", positiveSpans, positiveCounts), ("negative", negativeSpans, negativeCounts),
        ] {
            if let flaw = Self.flaw(of: spans, counts) { return "\(side) side: \(flaw)" }
        }
        return isInteger ? flawOfCount : nil
    }

    private var flawOfExponentialBuckets: String? {
        guard NativeHistogram.exponentialSchemas.contains(schema) else {
            return "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, "
                + "or -53 for custom buckets, got schema \(schema)"
        }
        return customBounds.isEmpty ? nil : "histogram with exponential schema must not have custom bounds"
    }

    private var flawOfCustomBuckets: String? {
        if zeroCount != 0 { return "custom buckets: must have zero count of 0" }
        if zeroThreshold != 0 { return "custom buckets: must have zero threshold of 0" }
        if !negativeSpans.isEmpty || !negativeCounts.isEmpty { return "custom buckets: must not have negative buckets" }
        for (previous, bound) in zip(customBounds, customBounds.dropFirst()) where !(previous < bound) {
            return "custom buckets: previous bound is \(previous) and current is \(bound): "
                + "histogram custom bounds must be in strictly increasing order"
        }
        if let wrong = customBounds.first(where: { !$0.isFinite }) {
            return "custom buckets: \(wrong) is a bound: histogram custom bounds must be finite, +Inf is implied"
        }
        // A gap before a run is buckets as well.
        let covered = positiveSpans.reduce(Int64(0)) { $0 + Int64($1.offset) + Int64($1.length) }
        guard covered <= customBounds.count + 1 else {
            return "custom buckets: only \(customBounds.count) custom bounds defined which is insufficient to cover "
                + "total span length of \(covered): histogram custom bounds are too few"
        }
        guard (positiveSpans.first?.offset ?? 0) >= 0 else {
            return "custom buckets: span number 1 with offset \(positiveSpans[0].offset): before the first bucket"
        }
        return nil
    }

    private static func flaw(of spans: [Span], _ counts: [Double]) -> String? {
        var index: Int64 = 0
        for (number, span) in spans.enumerated() {
            if number > 0, span.offset < 0 {
                return "span number \(number + 1) with offset \(span.offset): "
                    + "histogram has a span whose offset is negative"
            }
            index += Int64(span.offset)
            // The bound below a bucket is that of the index before.
            guard index > Int64(Int32.min), index + Int64(span.length) <= Int64(Int32.max) else {
                return "span number \(number + 1) reaches bucket \(index + Int64(span.length)): beyond 32 bits"
            }
            index += Int64(span.length)
        }
        let buckets = spans.reduce(0) { $0 + Int64($1.length) }
        guard buckets == Int64(counts.count) else {
            return "spans need \(buckets) buckets, have \(counts.count) buckets: "
                + "histogram spans specify different number of buckets than provided"
        }
        guard let negative = counts.firstIndex(where: { $0 < 0 }) else { return nil }
        return "bucket number \(negative + 1) has observation count of \(counts[negative]): "
            + "histogram has a bucket whose observation count is negative"
    }

    /// Whole numbers add up exactly, as far as a double can hold them.
    private var flawOfCount: String? {
        let found = (positiveCounts + negativeCounts).reduce(zeroCount, +)
        guard min(found, count) < 0x1p53 else { return nil }
        // Observations of NaN are counted and in no bucket.
        guard sum.isNaN ? found > count : found != count else { return nil }
        let relation = sum.isNaN ? "at least" : "equal"
        return "\(found) observations found in buckets, but the Count field is \(count): histogram's "
            + "observation count should \(relation) the number of observations found in the buckets"
    }
}
