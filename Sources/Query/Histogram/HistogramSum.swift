internal import Telemetry

/// Two histograms of which one has exponential and the other custom buckets cannot be combined.
struct HistogramMismatch: Error, CustomStringConvertible {
    var description: String {
        "cannot apply this operation on histograms with a mix of exponential and custom bucket schemas"
    }
}

/// What adding one histogram to another showed.
struct HistogramAddition {
    /// One said its counter was reset, the other that its was not.
    var hasResetCollision = false
    /// The custom bounds differed, and only those in common are left.
    var hasReconciledBounds = false
}

/// A sum of native histograms that carries the rounding error of every bucket along.
///
/// The coarser schema, the wider zero bucket and the common custom bounds win. Source: `KahanAdd` in Prometheus 3.14's
/// `model/histogram/float_histogram.go`.
struct HistogramSum {
    private var schema: Int32
    private var zeroThreshold: Double
    private var zeroCount: KahanSum
    private var count: KahanSum
    private var sum: KahanSum
    private var positive: BucketRun<KahanSum>
    private var negative: BucketRun<KahanSum>
    private var bounds: [Double]
    private(set) var hint: NativeHistogram.CounterResetHint

    /// The sum of one histogram.
    init(_ first: NativeHistogram) {
        schema = first.schema
        zeroThreshold = first.zeroThreshold
        zeroCount = KahanSum(first.zeroCount)
        count = KahanSum(first.count)
        sum = KahanSum(first.sum)
        positive = first.positiveRun.compactMap { KahanSum($1) }
        negative = first.negativeRun.compactMap { KahanSum($1) }
        bounds = first.customBounds
        hint = first.counterResetHint
    }

    /// The sum as a histogram, errors put in.
    var value: NativeHistogram {
        var result = NativeHistogram()
        result.schema = schema
        result.zeroThreshold = zeroThreshold
        result.zeroCount = zeroCount.sum + zeroCount.compensation
        result.count = count.sum + count.compensation
        result.sum = sum.sum + sum.compensation
        result.setPositive(positive.compactMap { $1.sum + $1.compensation })
        result.setNegative(negative.compactMap { $1.sum + $1.compensation })
        result.customBounds = bounds
        result.counterResetHint = hint
        return result
    }

    /// Whether anything is infinite.
    var hasOverflow: Bool {
        zeroCount.sum.isInfinite || count.sum.isInfinite || sum.sum.isInfinite
            || positive.counts.contains { $0.sum.isInfinite } || negative.counts.contains { $0.sum.isInfinite }
    }

    /// Everything times `factor`.
    mutating func scale(by factor: Double) {
        func scaled(_ sum: KahanSum) -> KahanSum {
            KahanSum(sum.sum * factor, compensation: sum.compensation * factor)
        }
        zeroCount = scaled(zeroCount)
        count = scaled(count)
        sum = scaled(sum)
        positive.counts = positive.counts.map(scaled)
        negative.counts = negative.counts.map(scaled)
    }

    /// Adds `other` times `sign`.
    @discardableResult
    mutating func add(_ other: NativeHistogram, sign: Double = 1) throws(HistogramMismatch) -> HistogramAddition {
        let isCustom = schema == NativeHistogram.customBucketsSchema
        guard isCustom == other.usesCustomBuckets else { throw HistogramMismatch() }
        var outcome = HistogramAddition(hasResetCollision: adjustHint(other.counterResetHint))
        var otherPositive = other.positiveRun
        var otherNegative = other.negativeRun
        if isCustom {
            outcome.hasReconciledBounds = reconcileBounds(other, &otherPositive)
        } else {
            let otherZero = reconcileZeroBuckets(other)
            zeroCount.add(otherZero * sign)
            reconcileSchemas(other.schema, &otherPositive, &otherNegative)
            otherPositive = otherPositive.compactMap { isBeyondZero($0) ? $1 : nil }
            otherNegative = otherNegative.compactMap { isBeyondZero($0) ? $1 : nil }
        }
        count.add(other.count * sign)
        sum.add(other.sum * sign)
        positive = positive.merged(with: otherPositive, adopt: { KahanSum($0 * sign) }, combine: { $0.add($1 * sign) })
        negative = negative.merged(with: otherNegative, adopt: { KahanSum($0 * sign) }, combine: { $0.add($1 * sign) })
        return outcome
    }

    private func isBeyondZero(_ index: Int32) -> Bool {
        NativeHistogram.exponentialBound(index, schema: schema) > zeroThreshold
    }

    private mutating func adjustHint(_ other: NativeHistogram.CounterResetHint) -> Bool {
        switch (hint, other) {
        case _ where hint == other: return false
        case (.gauge, _): return false
        case (_, .gauge): hint = .gauge
        case (.unknown, _): return false
        case (_, .unknown): hint = .unknown
        default:
            hint = .unknown
            return true
        }
        return false
    }

    // MARK: Reconciliation

    private mutating func reconcileSchemas(
        _ otherSchema: Int32, _ otherPositive: inout BucketRun<Double>, _ otherNegative: inout BucketRun<Double>
    ) {
        if otherSchema < schema {
            let shift = schema - otherSchema
            positive = positive.mapIndexes({ BucketIndex.coarser($0, by: shift) }, { $0.add($1) })
            negative = negative.mapIndexes({ BucketIndex.coarser($0, by: shift) }, { $0.add($1) })
            schema = otherSchema
        } else if otherSchema > schema {
            let shift = otherSchema - schema
            otherPositive = otherPositive.mapIndexes({ BucketIndex.coarser($0, by: shift) }, +=)
            otherNegative = otherNegative.mapIndexes({ BucketIndex.coarser($0, by: shift) }, +=)
        }
    }

    /// Widens the zero bucket until it ends between buckets of both; answers the other's zero count for that width.
    private mutating func reconcileZeroBuckets(_ other: NativeHistogram) -> Double {
        var otherZero = other.zeroCount
        var otherThreshold = other.zeroThreshold
        while otherThreshold != zeroThreshold {
            if zeroThreshold > otherThreshold {
                (otherZero, otherThreshold) = other.zeroCount(forThreshold: zeroThreshold)
            }
            if otherThreshold > zeroThreshold {
                let widened = value.zeroCount(forThreshold: otherThreshold)
                zeroCount = KahanSum(widened.count)
                zeroThreshold = widened.threshold
                positive = positive.compactMap { isBeyondZero($0) ? $1 : nil }
                negative = negative.compactMap { isBeyondZero($0) ? $1 : nil }
            }
        }
        return otherZero
    }

    /// Brings both to the bounds they share.
    private mutating func reconcileBounds(_ other: NativeHistogram, _ run: inout BucketRun<Double>) -> Bool {
        guard bounds != other.customBounds else { return false }
        let shared = bounds.filter(Set(other.customBounds).contains)
        positive = positive.mapIndexes({ BucketIndex.shared($0, bounds, shared) }, { $0.add($1) })
        run = run.mapIndexes({ BucketIndex.shared($0, other.customBounds, shared) }, +=)
        bounds = shared
        return true
    }
}

/// How bucket indexes change when buckets are merged.
enum BucketIndex {
    /// The index after halving the resolution `shift` times.
    static func coarser(_ index: Int32, by shift: Int32) -> Int32 { ((index - 1) >> shift) + 1 }

    /// The index of the bucket among `shared` bounds that holds bucket `index` of `bounds`.
    static func shared(_ index: Int32, _ bounds: [Double], _ shared: [Double]) -> Int32 {
        guard Int(index) < bounds.count else { return Int32(shared.count) }
        let bound = bounds[Int(index)]
        return Int32(shared.firstIndex { $0 >= bound } ?? shared.count)
    }
}

extension NativeHistogram {
    /// The zero count if the zero bucket reached to `threshold`, or to the end of the populated bucket it falls into.
    func zeroCount(forThreshold wanted: Double) -> (count: Double, threshold: Double) {
        var threshold = wanted
        if threshold == zeroThreshold { return (zeroCount, threshold) }
        while true {
            var total = KahanSum(zeroCount)
            let before = threshold
            for run in [positiveRun, negativeRun] {
                for (index, count) in zip(run.indexes, run.counts) {
                    if upperBound(index - 1) >= threshold { break }
                    total.add(count)
                    if upperBound(index) > threshold {
                        if count != 0 { threshold = upperBound(index) }
                        break
                    }
                }
            }
            // A wider zero bucket may reach into the other side: count again.
            if threshold == before { return (total.sum + total.compensation, threshold) }
        }
    }
}
