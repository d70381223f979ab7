/// A sum that carries its rounding error along (Kahan 1965, with Neumaier's improvement of 1974).
struct KahanSum: Sendable {
    private(set) var sum: Double = 0
    private(set) var compensation: Double = 0

    init() {}

    init(_ sum: Double, compensation: Double = 0) {
        self.sum = sum
        self.compensation = compensation
    }

    mutating func add(_ value: Double) {
        let total = sum + value
        if total.isInfinite {
            compensation = 0
        } else if abs(sum) >= abs(value) {
            compensation += (sum - total) + value
        } else {
            compensation += (value - total) + sum
        }
        sum = total
    }

    mutating func add(_ other: KahanSum) {
        add(other.sum)
        if sum.isFinite { add(other.compensation) }
    }

    /// Sum and error together.
    var value: Double { sum.isInfinite ? sum : sum + compensation }
}

/// A mean that sums as long as the sum is finite and goes on incrementally when it would not be.
struct RunningMean: Sendable {
    private var sum: KahanSum
    private var count: Double = 1
    private var isIncremental = false

    /// The mean of one value.
    init(_ first: Double) {
        sum = KahanSum(first)
    }

    mutating func add(_ value: Double) {
        count += 1
        if !isIncremental {
            var next = sum
            next.add(value)
            if !next.sum.isInfinite {
                sum = next
                return
            }
            isIncremental = true
            sum = KahanSum(sum.sum / (count - 1), compensation: sum.compensation / (count - 1))
        }
        let share = (count - 1) / count
        sum = KahanSum(share * sum.sum, compensation: share * sum.compensation)
        sum.add(value / count)
    }

    /// Takes in the values of another mean.
    mutating func add(_ other: RunningMean) {
        if !isIncremental, !other.isIncremental {
            var next = sum
            next.add(other.sum)
            if !next.sum.isInfinite {
                sum = next
                count += other.count
                return
            }
        }
        let (left, right) = (mean, other.mean)
        let total = count + other.count
        sum = KahanSum(left.sum * (count / total), compensation: left.compensation * (count / total))
        sum.add(
            KahanSum(right.sum * (other.count / total), compensation: right.compensation * (other.count / total)))
        count = total
        isIncremental = true
    }

    /// The mean with its rounding error.
    private var mean: KahanSum {
        isIncremental ? sum : KahanSum(sum.sum / count, compensation: sum.compensation / count)
    }

    var value: Double {
        isIncremental ? sum.sum + sum.compensation : sum.sum / count + sum.compensation / count
    }
}
