internal import Telemetry

/// `histogram </ bound` and `histogram >/ bound`: keeps what lies below or above a bound, and estimates the new sum.
///
/// Source: `TrimBuckets` in Prometheus 3.14's `model/histogram/float_histogram.go`.
struct HistogramTrim {
    let bound: Double
    /// Whether what lies below is kept.
    let keepsLower: Bool

    private struct Totals {
        var count: Double = 0
        var sum: Double = 0
        var isTrimmed = false
    }

    func applied(to histogram: NativeHistogram) -> NativeHistogram {
        var result = histogram
        var totals = Totals()
        let isCustom = histogram.usesCustomBuckets
        let positive = trim(histogram, histogram.positiveRun, isPositive: true, isCustom, &totals)
        let negative = trim(histogram, histogram.negativeRun, isPositive: false, isCustom, &totals)
        if histogram.zeroCount > 0 {
            let hasPositive = histogram.positiveCounts.contains { $0 != 0 }
            let hasNegative = histogram.negativeCounts.contains { $0 != 0 }
            var zero = histogram.zeroBucket
            if hasNegative, !hasPositive { zero.upper = 0 }
            if hasPositive, !hasNegative { zero.lower = 0 }
            let (kept, middle) = trimmedZero(zero)
            if kept != histogram.zeroCount { totals.isTrimmed = true }
            result.zeroCount = kept
            totals.count += kept
            totals.sum += middle * kept
        }
        guard totals.isTrimmed else { return histogram }
        result.setPositive(positive)
        result.setNegative(negative)
        result.count = totals.count
        result.sum = totals.sum
        result.isInteger = false
        return result.compacted
    }

    private func trim(
        _ histogram: NativeHistogram, _ run: BucketRun<Double>, isPositive: Bool, _ isCustom: Bool,
        _ totals: inout Totals
    ) -> BucketRun<Double> {
        var collected = totals
        let trimmed = run.compactMap { index, count -> Double? in
            guard count != 0 else { return 0 }
            let bucket = histogram.bucket(index, count: count, isPositive: isPositive)
            let isWhole = keepsLower ? bucket.upper <= bound : bucket.lower >= bound
            let isCut = keepsLower ? bucket.lower < bound : bucket.upper > bound
            guard isWhole || isCut else {
                collected.isTrimmed = true
                return 0
            }
            if isWhole {
                collected.count += count
                collected.sum += middle(bucket.lower, bucket.upper, isPositive: isPositive, isCustom) * count
                return count
            }
            let (kept, middle) = cut(bucket, isPositive: isPositive, isCustom)
            if kept != count { collected.isTrimmed = true }
            collected.count += kept
            collected.sum += middle * kept
            return kept
        }
        totals = collected
        return trimmed
    }

    /// How much of a bucket around the bound stays, and where its middle then is.
    private func cut(_ bucket: HistogramBucket, isPositive: Bool, _ isCustom: Bool) -> (Double, Double) {
        if bucket.lower == -.infinity || bucket.upper == .infinity { return cutEndless(bucket) }
        let below = bucket.count * bucket.share(below: bound, isLinear: isCustom)
        if keepsLower { return (below, middle(bucket.lower, bound, isPositive: isPositive, isCustom)) }
        return (bucket.count - below, middle(bound, bucket.upper, isPositive: isPositive, isCustom))
    }

    /// An endless bucket cannot be divided, unless its other end is on the far side of zero.
    private func cutEndless(_ bucket: HistogramBucket) -> (Double, Double) {
        if bucket.lower == -.infinity {
            if keepsLower {
                if bound >= bucket.upper { return (bucket.count, 0) }
                if bound > 0, bucket.upper > 0, bucket.upper != .infinity {
                    return (bucket.count * bound / bucket.upper, bound / 2)
                }
                if bucket.upper <= 0 { return (bucket.count, bound) }
                return (0, bucket.upper.isInfinite ? 0 : bucket.upper)
            }
            if bound <= bucket.lower { return (bucket.count, 0) }
            if bound >= 0, bucket.upper > bound, bucket.upper != .infinity {
                return (bucket.count * (1 - bound / bucket.upper), (bound + bucket.upper) / 2)
            }
            return (0, bucket.upper.isInfinite ? 0 : bucket.upper)
        }
        if !keepsLower, bound >= bucket.lower { return (bucket.count, bound) }
        return (0, bucket.lower.isInfinite ? 0 : bucket.lower)
    }

    private func trimmedZero(_ zero: HistogramBucket) -> (Double, Double) {
        let (lower, upper) = (zero.lower, zero.upper)
        let whole = (zero.count, (lower + upper) / 2)
        if keepsLower {
            if bound <= lower { return (0, 0) }
            if bound >= upper { return whole }
            return (zero.count * ((bound - lower) / (upper - lower)), (lower + bound) / 2)
        }
        if bound <= lower { return whole }
        if bound >= upper { return (0, 0) }
        return (zero.count * ((upper - bound) / (upper - lower)), (bound + upper) / 2)
    }

    private func middle(_ lower: Double, _ upper: Double, isPositive: Bool, _ isLinear: Bool) -> Double {
        if lower.isInfinite { return upper.isInfinite ? 0 : upper > 0 ? upper / 2 : upper }
        if upper.isInfinite { return lower }
        if isLinear { return (lower + upper) / 2 }
        let root = abs(lower * upper).squareRoot()
        return isPositive ? root : -root
    }
}
