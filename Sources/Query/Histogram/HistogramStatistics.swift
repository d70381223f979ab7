internal import Glibc
internal import Telemetry

/// Quantiles, fractions and spread of a native histogram.
///
/// Source: `HistogramQuantile`, `HistogramFraction` and `histogramVariance` in Prometheus 3.14's `promql`.
struct HistogramStatistics {
    /// What the histogram's NaN observations do to an answer.
    enum Remark {
        case isNaNBecauseOfNaN
        case isSkewedByNaN
    }

    let histogram: NativeHistogram

    private var isCustom: Bool { histogram.usesCustomBuckets }

    /// The `rank` quantile: linear within custom buckets and the zero bucket, exponential elsewhere.
    func quantile(_ rank: Double) -> (value: Double, remark: Remark?) {
        if rank < 0 { return (-.infinity, nil) }
        if rank > 1 { return (.infinity, nil) }
        guard histogram.count != 0, !rank.isNaN else { return (.nan, nil) }
        // From the nearer end, so that little is added up; observations of NaN can only be seen from below.
        let isForward = histogram.sum.isNaN || rank < 0.5
        let buckets = isForward ? histogram.buckets : histogram.buckets.reversed()
        var wanted = (isForward ? rank : 1 - rank) * histogram.count
        var total: Double = 0
        var place = 0
        var bucket = buckets.first ?? histogram.zeroBucket
        for index in buckets.indices where buckets[index].count != 0 {
            bucket = buckets[index]
            place = index
            total += bucket.count
            if total >= wanted { break }
        }
        if let edge = clamp(&bucket) { return (edge, nil) }
        total = min(total, histogram.count)
        if total < wanted {
            return histogram.sum.isNaN ? (.nan, .isNaNBecauseOfNaN) : (bucket.upper, nil)
        }
        wanted = isForward ? wanted - (total - bucket.count) : total - wanted
        var remark: Remark?
        if histogram.sum.isNaN {
            let counted = buckets.dropFirst(place + 1).reduce(total) { $0 + $1.count }
            if counted < histogram.count { remark = .isSkewedByNaN }
        }
        return (interpolate(bucket, wanted / bucket.count), remark)
    }

    /// Gives an endless or one-sided bucket the end it must have; a number where there is nothing to divide.
    private func clamp(_ bucket: inout HistogramBucket) -> Double? {
        if !isCustom {
            narrowZero(&bucket)
            return nil
        }
        if bucket.lower == -.infinity {
            if bucket.upper <= 0 { return bucket.upper }
            bucket.lower = 0
        } else if bucket.upper == .infinity {
            return bucket.lower
        }
        return nil
    }

    /// With nothing on one side, the zero bucket ends at zero there.
    private func narrowZero(_ bucket: inout HistogramBucket) {
        guard bucket.lower < 0, bucket.upper > 0 else { return }
        if histogram.negativeCounts.isEmpty, !histogram.positiveCounts.isEmpty {
            bucket.lower = 0
        } else if histogram.positiveCounts.isEmpty, !histogram.negativeCounts.isEmpty {
            bucket.upper = 0
        }
    }

    private func interpolate(_ bucket: HistogramBucket, _ share: Double) -> Double {
        if isCustom || (bucket.lower <= 0 && bucket.upper >= 0) {
            return bucket.lower + (bucket.upper - bucket.lower) * share
        }
        let lower = log2(abs(bucket.lower))
        let upper = log2(abs(bucket.upper))
        if bucket.lower > 0 { return exp2(lower + (upper - lower) * share) }
        return -exp2(upper + (lower - upper) * (1 - share))
    }

    /// The share of observations between two values, and whether NaN observations had to be left out.
    func fraction(from lower: Double, to upper: Double) -> (value: Double, leavesOutNaN: Bool) {
        guard histogram.count != 0, !lower.isNaN, !upper.isNaN else { return (.nan, false) }
        if lower >= upper { return (0, false) }
        var counted = histogram.count
        var leavesOut = false
        if histogram.sum.isNaN {
            counted = histogram.buckets.reduce(0) { $0 + $1.count }
            leavesOut = counted < histogram.count
        }
        return ((rank(of: upper, counted) - rank(of: lower, counted)) / histogram.count, leavesOut)
    }

    /// How many observations lie below `value`.
    private func rank(of value: Double, _ counted: Double) -> Double {
        var rank: Double = 0
        for var bucket in histogram.buckets {
            let isZero = bucket.lower <= 0 && bucket.upper >= 0
            if isZero { narrowZero(&bucket) }
            if bucket.lower >= value { return min(rank, counted) }
            if bucket.upper > value {
                if bucket.lower == -.infinity { return min(bucket.count, counted) }
                return min(rank + bucket.count * bucket.share(below: value, isLinear: isCustom || isZero), counted)
            }
            rank += bucket.count
        }
        return counted
    }

    /// The variance, each bucket taken at its middle: the geometric one for exponential buckets.
    var variance: Double {
        let mean = histogram.sum / histogram.count
        var total = KahanSum()
        for bucket in histogram.buckets where bucket.count != 0 {
            let middle: Double
            if isCustom {
                middle = (bucket.upper + bucket.lower) / 2
            } else if bucket.lower <= 0, bucket.upper >= 0 {
                middle = 0
            } else {
                let root = (bucket.upper * bucket.lower).squareRoot()
                middle = bucket.upper < 0 ? -root : root
            }
            total.add(bucket.count * (middle - mean) * (middle - mean))
        }
        return (total.sum + total.compensation) / histogram.count
    }
}
