internal import Glibc
internal import Telemetry

/// A bucket of a native histogram with its bounds.
package struct HistogramBucket {
    package var lower: Double
    package var upper: Double
    package var includesLower: Bool
    package var includesUpper: Bool
    /// The observations in it.
    package var count: Double

    /// The share of the bucket at or below `value`, which lies within it; exponential buckets are divided on a
    /// logarithmic scale.
    func share(below value: Double, isLinear: Bool) -> Double {
        if isLinear { return (value - lower) / (upper - lower) }
        let logLower = log2(abs(lower))
        let logUpper = log2(abs(upper))
        let logValue = log2(abs(value))
        if value > 0 { return (logValue - logLower) / (logUpper - logLower) }
        return 1 - (logValue - logUpper) / (logLower - logUpper)
    }

    /// As Go prints it: `(1,2]:3`.
    var text: String {
        let (open, close) = (includesLower ? "[" : "(", includesUpper ? "]" : ")")
        return "\(open)\(FloatText.general(lower)),\(FloatText.general(upper))\(close):\(GoText.value(count))"
    }
}

/// Where the buckets of a native histogram begin and end.
extension NativeHistogram {
    /// The bounds of schema 8 in [0.5, 1); those of coarser schemas are among them.
    ///
    /// Their last bits are those of Prometheus' table, for bounds are compared and printed: the product of the roots
    /// 2^(1/2), 2^(1/4), …, 2^(1/256) that the index is made of, from the first on, where 2^(1/2) is rounded down.
    private static let finestBounds: [Double] = {
        let roots = [(2.0).squareRoot().nextDown] + (2...8).map { exp2(exp2(-Double($0))) }
        return (0..<256).map { index in
            roots.enumerated().reduce(0.5) { index >> (7 - $1.offset) & 1 == 1 ? $0 * $1.element : $0 }
        }
    }()

    /// The upper bound of bucket `index` of an exponential schema, -4...8: 2^(index * 2^-schema).
    static func exponentialBound(_ index: Int32, schema: Int32) -> Double {
        // The last bucket of finite numbers ends at the largest of them, so that infinity has one of its own.
        if schema < 0 {
            let exponent = Int(index) << Int(-schema)
            return exponent == 1024 ? .greatestFiniteMagnitude : scalbn(1, Int32(clamping: exponent))
        }
        let fraction = index & ((Int32(1) << schema) - 1)
        let exponent = index >> schema
        if fraction == 0, exponent == 1024 { return .greatestFiniteMagnitude }
        return scalbn(finestBounds[Int(fraction) << (8 - Int(schema))], exponent + 1)
    }

    /// The upper bound of bucket `index` on the positive side.
    func upperBound(_ index: Int32) -> Double {
        guard usesCustomBuckets else { return NativeHistogram.exponentialBound(index, schema: schema) }
        if index < 0 { return -.infinity }
        return Int(index) < customBounds.count ? customBounds[Int(index)] : .infinity
    }

    func bucket(_ index: Int32, count: Double, isPositive: Bool) -> HistogramBucket {
        let outer = upperBound(index)
        let inner = upperBound(index - 1)
        let lower = isPositive ? inner : -outer
        let upper = isPositive ? outer : -inner
        return HistogramBucket(
            lower: lower, upper: upper, includesLower: usesCustomBuckets ? index == 0 : lower < 0,
            includesUpper: usesCustomBuckets ? true : upper > 0, count: count)
    }

    var positiveRun: BucketRun<Double> { BucketRun(positiveSpans, positiveCounts) }
    var negativeRun: BucketRun<Double> { BucketRun(negativeSpans, negativeCounts) }

    mutating func setPositive(_ run: BucketRun<Double>) {
        positiveSpans = run.spans
        positiveCounts = run.counts
    }

    mutating func setNegative(_ run: BucketRun<Double>) {
        negativeSpans = run.spans
        negativeCounts = run.counts
    }

    var zeroBucket: HistogramBucket {
        HistogramBucket(
            lower: -zeroThreshold, upper: zeroThreshold, includesLower: true, includesUpper: true, count: zeroCount)
    }

    /// All buckets from the lowest to the highest; those beside the zero bucket end where it begins.
    package var buckets: [HistogramBucket] {
        var all: [HistogramBucket] = []
        let negative = negativeRun
        for (index, count) in zip(negative.indexes, negative.counts).reversed() {
            var bucket = bucket(index, count: count, isPositive: false)
            if bucket.upper < 0, bucket.upper > -zeroThreshold { bucket.upper = -zeroThreshold }
            all.append(bucket)
        }
        if zeroCount > 0 { all.append(zeroBucket) }
        let positive = positiveRun
        for (index, count) in zip(positive.indexes, positive.counts) {
            var bucket = bucket(index, count: count, isPositive: true)
            if bucket.lower > 0, bucket.lower < zeroThreshold { bucket.lower = zeroThreshold }
            all.append(bucket)
        }
        return all
    }

    /// As Go's `String` prints it: `{count:3, sum:5, (1,2]:3}`.
    var goText: String {
        let parts = buckets.filter { $0.count != 0 }.map(\.text)
        let head = ["count:\(FloatText.general(count))", "sum:\(FloatText.general(sum))"]
        return "{\((head + parts).joined(separator: ", "))}"
    }
}
