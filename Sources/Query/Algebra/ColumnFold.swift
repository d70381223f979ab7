/// Folds columns into one, step by step, in the order and with the rounding of Prometheus.
enum ColumnFold {
    static func count(_ columns: [SeriesColumn], into result: inout SeriesColumn) {
        for column in columns {
            for step in column.values.indices where column.isPresent(at: step) {
                let count = result.values[step]
                result.values[step] = SeriesColumn.isAbsent(count) ? 1 : count + 1
            }
        }
    }

    static func group(_ columns: [SeriesColumn], into result: inout SeriesColumn) {
        for column in columns {
            for step in column.values.indices where column.isPresent(at: step) { result.values[step] = 1 }
        }
    }

    static func sum(_ columns: [SeriesColumn], into result: inout SeriesColumn) {
        let steps = result.values.count
        var sums = [KahanSum](repeating: KahanSum(), count: steps)
        var seen = [Bool](repeating: false, count: steps)
        for column in columns {
            column.values.withUnsafeBufferPointer { values in
                for step in 0..<steps where !SeriesColumn.isAbsent(values[step]) {
                    if seen[step] {
                        sums[step].add(values[step])
                    } else {
                        sums[step] = KahanSum(values[step])
                        seen[step] = true
                    }
                }
            }
        }
        for step in 0..<steps where seen[step] {
            result.values[step] = sums[step].sum + sums[step].compensation
        }
    }

    static func mean(_ columns: [SeriesColumn], into result: inout SeriesColumn) {
        var means = [RunningMean?](repeating: nil, count: result.values.count)
        for column in columns {
            for step in column.values.indices where column.hasNumber(at: step) {
                if means[step] == nil {
                    means[step] = RunningMean(column.values[step])
                } else {
                    means[step]?.add(column.values[step])
                }
            }
        }
        for step in means.indices {
            if let mean = means[step] { result.values[step] = mean.value }
        }
    }

    /// Keeps the value for which `isWorse(kept, candidate)` held last; NaN only where there is nothing else.
    static func extreme(
        _ columns: [SeriesColumn], into result: inout SeriesColumn, _ isWorse: (Double, Double) -> Bool
    ) {
        for column in columns {
            for step in column.values.indices where column.hasNumber(at: step) {
                let kept = result.values[step]
                if SeriesColumn.isAbsent(kept) || kept.isNaN || isWorse(kept, column.values[step]) {
                    result.values[step] = column.values[step]
                }
            }
        }
    }

    /// Welford 1962.
    static func variance(_ columns: [SeriesColumn], into result: inout SeriesColumn, isDeviation: Bool) {
        let steps = result.values.count
        var counts = [Double](repeating: 0, count: steps)
        var means = [Double](repeating: 0, count: steps)
        var squares = [Double](repeating: 0, count: steps)
        for column in columns {
            for step in 0..<steps where column.hasNumber(at: step) {
                let value = column.values[step]
                counts[step] += 1
                if counts[step] == 1 {
                    means[step] = value
                    squares[step] = value.isFinite ? 0 : .nan
                    continue
                }
                let delta = value - means[step]
                means[step] += delta / counts[step]
                squares[step] += delta * (value - means[step])
            }
        }
        for step in 0..<steps where counts[step] > 0 {
            let variance = squares[step] / counts[step]
            result.values[step] = isDeviation ? variance.squareRoot() : variance
        }
    }

    static func quantile(_ columns: [SeriesColumn], _ ranks: [Double], into result: inout SeriesColumn) {
        var values: [Double] = []
        for step in result.values.indices {
            values.removeAll(keepingCapacity: true)
            for column in columns where column.hasNumber(at: step) { values.append(column.values[step]) }
            if !values.isEmpty { result.values[step] = Quantile.of(values, ranks[step]) }
        }
    }
}
