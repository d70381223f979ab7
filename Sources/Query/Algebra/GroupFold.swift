internal import CKernels
internal import Telemetry

/// The running fold of the series of one group at all steps. It keeps none of the series but those with histograms.
///
/// Values are folded in the order and with the rounding of Prometheus; parts that were folded apart can be merged.
struct GroupFold: Sendable {
    private let operation: AggregationOperator
    /// The sum, count, extreme or mean so far; absent where there is none yet. Not used by `avg`.
    private var values: [Double] = []
    /// What `sum` lost to rounding, or the squares of `stddev` and `stdvar`.
    private var remainders: [Double] = []
    /// How many values `stddev` and `stdvar` have seen.
    private var counts: [Double] = []
    private var means: [RunningMean?] = []
    /// Series with histograms, for `sum` and `avg` to fold at the end.
    private(set) var histogramMembers: [SeriesColumn] = []
    /// Whether histograms were passed over.
    private(set) var ignoresHistograms = false
    private(set) var dropsName = false

    /// A fold of nothing at `steps` steps.
    init(_ operation: AggregationOperator, steps: Int) {
        self.operation = operation
        switch operation {
        case .avg: means = [RunningMean?](repeating: nil, count: steps)
        case .stddev, .stdvar:
            values = [Double](repeating: 0, count: steps)
            remainders = values
            counts = values
        default:
            values = [Double](repeating: SeriesColumn.absent, count: steps)
            if operation == .sum { remainders = [Double](repeating: 0, count: steps) }
        }
    }

    /// The memory a fold takes, labels aside.
    static func bytes(_ operation: AggregationOperator, steps: Int) -> Int {
        switch operation {
        case .avg: 96 + steps * MemoryLayout<RunningMean?>.stride
        case .stddev, .stdvar: 96 + steps * 24
        case .sum: 96 + steps * 16
        default: 96 + steps * 8
        }
    }

    /// Whether it can take a series apart from all others; `quantile` for one cannot.
    static func folds(_ operation: AggregationOperator) -> Bool {
        switch operation {
        case .sum, .avg, .count, .group, .min, .max, .stddev, .stdvar: true
        case .topk, .bottomk, .countValues, .quantile, .limitk, .limitRatio: false
        }
    }

    /// Takes a series in.
    mutating func add(_ column: SeriesColumn) {
        if column.dropsName { dropsName = true }
        if !column.histograms.isEmpty { addHistograms(column) }
        switch operation {
        case .count: count(column.values)
        case .group: mark(column.values)
        case .sum: sum(column.values)
        case .avg: mean(column.values)
        case .min: extreme(column.values) { $0 > $1 }
        case .max: extreme(column.values) { $0 < $1 }
        default: spread(column.values)
        }
    }

    private mutating func addHistograms(_ column: SeriesColumn) {
        switch operation {
        case .count, .group:
            for step in column.histograms.indices where column.histograms[step] != nil {
                let count = values[step]
                values[step] = operation == .group || SeriesColumn.isAbsent(count) ? 1 : count + 1
            }
        case .sum, .avg: histogramMembers.append(column)
        default:
            if column.histograms.contains(where: { $0 != nil }) { ignoresHistograms = true }
        }
    }

    /// Takes in what another fold of later series took in.
    mutating func merge(_ other: GroupFold) {
        dropsName = dropsName || other.dropsName
        ignoresHistograms = ignoresHistograms || other.ignoresHistograms
        histogramMembers += other.histogramMembers
        switch operation {
        case .count:
            for step in values.indices where !SeriesColumn.isAbsent(other.values[step]) {
                let count = values[step]
                values[step] = SeriesColumn.isAbsent(count) ? other.values[step] : count + other.values[step]
            }
        case .group: mark(other.values)
        case .sum: mergeSums(other)
        case .avg: mergeMeans(other)
        case .min: extreme(other.values) { $0 > $1 }
        case .max: extreme(other.values) { $0 < $1 }
        default: mergeSpread(other)
        }
    }

    /// Puts the result, histograms aside, into `column`.
    func finish(into column: inout SeriesColumn) {
        column.dropsName = dropsName
        switch operation {
        case .sum:
            for step in values.indices where !SeriesColumn.isAbsent(values[step]) {
                column.values[step] = values[step] + remainders[step]
            }
        case .avg:
            for step in means.indices {
                if let mean = means[step] { column.values[step] = mean.value }
            }
        case .stddev, .stdvar:
            for step in counts.indices where counts[step] > 0 {
                let variance = remainders[step] / counts[step]
                column.values[step] = operation == .stddev ? variance.squareRoot() : variance
            }
        default: column.values = values
        }
    }
}

// MARK: Folds

extension GroupFold {
    private mutating func count(_ added: [Double]) {
        vedette_count_present(&values, added, min(values.count, added.count), Sample.staleBits)
    }

    private mutating func mark(_ added: [Double]) {
        for step in values.indices where !SeriesColumn.isAbsent(added[step]) { values[step] = 1 }
    }

    /// As `KahanSum` adds, at all steps at once.
    private mutating func sum(_ added: [Double]) {
        vedette_add_compensated(&values, &remainders, added, min(values.count, added.count), Sample.staleBits)
    }

    private mutating func mergeSums(_ other: GroupFold) {
        for step in values.indices where !SeriesColumn.isAbsent(other.values[step]) {
            let added = KahanSum(other.values[step], compensation: other.remainders[step])
            var sum = added
            if !SeriesColumn.isAbsent(values[step]) {
                sum = KahanSum(values[step], compensation: remainders[step])
                sum.add(added)
            }
            values[step] = sum.sum
            remainders[step] = sum.compensation
        }
    }

    private mutating func mean(_ added: [Double]) {
        for step in means.indices where !SeriesColumn.isAbsent(added[step]) {
            if means[step] == nil {
                means[step] = RunningMean(added[step])
            } else {
                means[step]?.add(added[step])
            }
        }
    }

    private mutating func mergeMeans(_ other: GroupFold) {
        for step in means.indices {
            guard let added = other.means[step] else { continue }
            if means[step] == nil {
                means[step] = added
            } else {
                means[step]?.add(added)
            }
        }
    }

    /// Keeps the value for which `isWorse(kept, candidate)` held last; NaN only where there is nothing else.
    @inline(__always)
    private mutating func extreme(_ added: [Double], _ isWorse: (Double, Double) -> Bool) {
        values.withUnsafeMutableBufferPointer { kept in
            added.withUnsafeBufferPointer { added in
                for step in 0..<min(kept.count, added.count) where !SeriesColumn.isAbsent(added[step]) {
                    // NaN, which also stands for nothing, gives way to everything.
                    if kept[step].isNaN || isWorse(kept[step], added[step]) { kept[step] = added[step] }
                }
            }
        }
    }

    /// Welford 1962.
    private mutating func spread(_ added: [Double]) {
        for step in counts.indices where !SeriesColumn.isAbsent(added[step]) {
            let value = added[step]
            counts[step] += 1
            if counts[step] == 1 {
                values[step] = value
                remainders[step] = value.isFinite ? 0 : .nan
                continue
            }
            let delta = value - values[step]
            values[step] += delta / counts[step]
            remainders[step] += delta * (value - values[step])
        }
    }

    /// Chan, Golub and LeVeque 1979.
    private mutating func mergeSpread(_ other: GroupFold) {
        for step in counts.indices where other.counts[step] > 0 {
            let (left, right) = (counts[step], other.counts[step])
            let total = left + right
            let delta = other.values[step] - values[step]
            if left == 0 {
                values[step] = other.values[step]
                remainders[step] = other.remainders[step]
            } else {
                values[step] += delta * right / total
                remainders[step] += other.remainders[step] + delta * delta * left * right / total
            }
            counts[step] = total
        }
    }
}
