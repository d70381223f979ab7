/// The buckets of a classic histogram at one time: cumulative counts below rising upper bounds.
struct ClassicHistogram {
    /// A bucket.
    struct Bucket: Hashable {
        var upperBound: Double
        /// Observations at or below `upperBound`.
        var count: Double
    }

    /// How far the counts had to be bent to rise, because their buckets were read at different moments.
    struct Repair: Hashable {
        var lowestBound: Double
        var highestBound: Double
        var largestDifference: Double
    }

    private(set) var buckets: [Bucket]
    private(set) var repair: Repair?

    /// Sorts the buckets and merges those of equal bounds.
    init(_ unordered: [Bucket]) {
        buckets = []
        for bucket in unordered.sorted(by: { $0.upperBound < $1.upperBound }) {
            if buckets.last?.upperBound == bucket.upperBound {
                buckets[buckets.count - 1].count += bucket.count
            } else {
                buckets.append(bucket)
            }
        }
    }

    /// Without a bucket for everything nothing can be said.
    private var isComplete: Bool { buckets.last?.upperBound == .infinity }

    /// The `rank` quantile, linear within a bucket; the lowest bucket begins at 0 unless its bound is not above it.
    mutating func quantile(_ rank: Double) -> Double {
        if rank.isNaN { return .nan }
        if rank < 0 { return -.infinity }
        if rank > 1 { return .infinity }
        guard isComplete else { return .nan }
        makeMonotonic()
        guard buckets.count >= 2, let total = buckets.last?.count, total != 0 else { return .nan }
        var position = rank * total
        let found = buckets.dropLast().firstIndex { $0.count >= position } ?? buckets.count - 1
        if found == buckets.count - 1 { return buckets[buckets.count - 2].upperBound }
        if found == 0, buckets[0].upperBound <= 0 { return buckets[0].upperBound }
        var lower: Double = 0
        var count = buckets[found].count
        if found > 0 {
            lower = buckets[found - 1].upperBound
            count -= buckets[found - 1].count
            position -= buckets[found - 1].count
        }
        return lower + (buckets[found].upperBound - lower) * (position / count)
    }

    /// Bends counts that fall back up to the count before; differences of rounding are taken as equal in silence.
    private mutating func makeMonotonic() {
        var previous = buckets[0].count
        for index in buckets.indices.dropFirst() {
            let count = buckets[index].count
            if count == previous { continue }
            if NearlyEqual.holds(previous, count, tolerance: 1e-12) {
                buckets[index].count = previous
            } else if count < previous {
                buckets[index].count = previous
                let bound = buckets[index].upperBound
                repair = Repair(
                    lowestBound: min(repair?.lowestBound ?? .infinity, bound),
                    highestBound: max(repair?.highestBound ?? -.infinity, bound),
                    largestDifference: max(repair?.largestDifference ?? 0, previous - count))
            } else {
                previous = count
            }
        }
    }

    /// The share of observations between two values.
    func fraction(from lower: Double, to upper: Double) -> Double {
        guard isComplete, let total = buckets.last?.count, total != 0, !lower.isNaN, !upper.isNaN else { return .nan }
        if lower >= upper { return 0 }
        return (rank(of: upper, total) - rank(of: lower, total)) / total
    }

    /// How many observations lie below `value`, linear within a bucket.
    private func rank(of value: Double, _ total: Double) -> Double {
        var rank: Double = 0
        var lowerBound: Double = buckets[0].upperBound <= 0 ? -.infinity : 0
        for bucket in buckets {
            if lowerBound >= value { return min(rank, total) }
            if bucket.upperBound > value {
                // An endless bucket cannot be divided: all or nothing of it counts.
                if lowerBound == -.infinity { return min(bucket.count, total) }
                let share = (value - lowerBound) / (bucket.upperBound - lowerBound)
                return min(rank + (bucket.count - rank) * share, total)
            }
            rank = bucket.count
            lowerBound = bucket.upperBound
        }
        return total
    }
}

/// Equality of numbers up to a relative error.
enum NearlyEqual {
    static func holds(_ left: Double, _ right: Double, tolerance: Double) -> Bool {
        if SeriesColumn.isAbsent(left) || SeriesColumn.isAbsent(right) {
            return left.bitPattern == right.bitPattern
        }
        if left.isNaN, right.isNaN { return true }
        if left == right { return true }
        let sum = abs(left) + abs(right)
        let difference = abs(left - right)
        if left == 0 || right == 0 || sum < .leastNormalMagnitude {
            return difference < tolerance * .leastNormalMagnitude
        }
        return difference / min(sum, .greatestFiniteMagnitude) < tolerance
    }
}
