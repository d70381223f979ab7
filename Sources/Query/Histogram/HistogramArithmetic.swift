internal import Telemetry

/// What PromQL does with native histograms as values.
extension NativeHistogram {
    @discardableResult
    mutating func add(_ other: NativeHistogram) throws(HistogramMismatch) -> HistogramAddition {
        var sum = HistogramSum(self)
        let outcome = try sum.add(other)
        self = sum.value
        return outcome
    }

    @discardableResult
    mutating func subtract(_ other: NativeHistogram) throws(HistogramMismatch) -> HistogramAddition {
        var sum = HistogramSum(self)
        let outcome = try sum.add(other, sign: -1)
        self = sum.value
        return outcome
    }

    func multiplied(by factor: Double) -> NativeHistogram {
        var result = self
        result.zeroCount *= factor
        result.count *= factor
        result.sum *= factor
        for index in result.positiveCounts.indices { result.positiveCounts[index] *= factor }
        for index in result.negativeCounts.indices { result.negativeCounts[index] *= factor }
        if factor < 0 { result.counterResetHint = .gauge }
        result.isInteger = false
        return result
    }

    /// Dividing by zero leaves no buckets.
    func divided(by divisor: Double) -> NativeHistogram {
        var result = self
        result.zeroCount /= divisor
        result.count /= divisor
        result.sum /= divisor
        for index in result.positiveCounts.indices { result.positiveCounts[index] /= divisor }
        for index in result.negativeCounts.indices { result.negativeCounts[index] /= divisor }
        if divisor == 0 {
            result.setPositive(BucketRun())
            result.setNegative(BucketRun())
        }
        if divisor < 0 { result.counterResetHint = .gauge }
        result.isInteger = false
        return result
    }

    /// Without empty buckets.
    var compacted: NativeHistogram {
        var result = self
        result.setPositive(positiveRun.compactMap { $1 == 0 ? nil : $1 })
        result.setNegative(negativeRun.compactMap { $1 == 0 ? nil : $1 })
        return result
    }

    /// With `hint` in place of what it says of resets.
    func hinting(_ hint: CounterResetHint) -> NativeHistogram {
        var result = self
        result.counterResetHint = hint
        return result
    }

    /// A sub-query may leave out or repeat samples, so what they say of their predecessors no longer holds.
    var forgettingResets: NativeHistogram { counterResetHint == .gauge ? self : hinting(.unknown) }

    /// Merges buckets until the resolution is that of `target`.
    func reduced(toSchema target: Int32) -> NativeHistogram {
        guard target < schema, !usesCustomBuckets else { return self }
        var result = self
        let shift = schema - target
        result.schema = target
        result.setPositive(positiveRun.mapIndexes({ BucketIndex.coarser($0, by: shift) }, +=))
        result.setNegative(negativeRun.mapIndexes({ BucketIndex.coarser($0, by: shift) }, +=))
        result.counterResetHint = .unknown
        return result
    }

    /// Whether both are the same data, bucket for bucket and bit for bit.
    func isIdentical(to other: NativeHistogram) -> Bool {
        func areSame(_ left: Double, _ right: Double) -> Bool { left.bitPattern == right.bitPattern }
        func areSame(_ left: BucketRun<Double>, _ right: BucketRun<Double>) -> Bool {
            left.indexes == right.indexes && zip(left.counts, right.counts).allSatisfy { areSame($0, $1) }
        }
        return schema == other.schema && areSame(count, other.count) && areSame(sum, other.sum)
            && zeroThreshold == other.zeroThreshold && areSame(zeroCount, other.zeroCount)
            && (!usesCustomBuckets || customBounds == other.customBounds) && areSame(positiveRun, other.positiveRun)
            && areSame(negativeRun, other.negativeRun)
    }

    // MARK: Resets

    /// Whether a counter was reset between `previous` and this, by its own word or because something went down.
    func isReset(since previous: NativeHistogram) -> Bool {
        if counterResetHint == .reset { return true }
        if counterResetHint == .notReset { return false }
        if count < previous.count { return true }
        if usesCustomBuckets != previous.usesCustomBuckets { return usesCustomBuckets || schema > previous.schema }
        if usesCustomBuckets { return hasFallen(sharedRun(previous), previous.sharedRun(self)) }
        if schema > previous.schema || zeroThreshold < previous.zeroThreshold { return true }
        let before = previous.zeroCount(forThreshold: zeroThreshold)
        if before.threshold != zeroThreshold || zeroCount < before.count { return true }
        let coarse = previous.reduced(toSchema: schema)
        return hasFallen(beyondZero(positiveRun), beyondZero(coarse.positiveRun))
            || hasFallen(beyondZero(negativeRun), beyondZero(coarse.negativeRun))
    }

    private func beyondZero(_ run: BucketRun<Double>) -> BucketRun<Double> {
        run.compactMap { NativeHistogram.exponentialBound($0, schema: schema) > zeroThreshold ? $1 : nil }
    }

    /// The positive buckets at the bounds that both have.
    private func sharedRun(_ other: NativeHistogram) -> BucketRun<Double> {
        if customBounds == other.customBounds { return positiveRun }
        let shared = customBounds.filter(Set(other.customBounds).contains)
        return positiveRun.mapIndexes({ BucketIndex.shared($0, customBounds, shared) }, +=)
    }

    /// Whether a bucket of `before` is lower in `now`, or no longer there.
    private func hasFallen(_ now: BucketRun<Double>, _ before: BucketRun<Double>) -> Bool {
        let counts = Dictionary(zip(now.indexes, now.counts)) { first, _ in first }
        return zip(before.indexes, before.counts).contains { index, count in
            guard let present = counts[index] else { return count != 0 }
            return present < count
        }
    }
}

/// A mean of histograms: a sum as long as it is finite, incremental from there on.
struct HistogramMean {
    private var sum: HistogramSum
    private var count: Double = 1
    private var isIncremental = false

    init(_ first: NativeHistogram) {
        sum = HistogramSum(first)
    }

    @discardableResult
    mutating func add(_ other: NativeHistogram) throws(HistogramMismatch) -> HistogramAddition {
        count += 1
        if !isIncremental {
            var next = sum
            let outcome = try next.add(other)
            if !next.hasOverflow {
                sum = next
                return outcome
            }
            isIncremental = true
            sum.scale(by: 1 / (count - 1))
        }
        sum.scale(by: (count - 1) / count)
        return try sum.add(other.divided(by: count))
    }

    var value: NativeHistogram {
        if isIncremental { return sum.value }
        var mean = sum
        mean.scale(by: 1 / count)
        return mean.value
    }
}
