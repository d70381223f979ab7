/// The samples of one series in one window, which is never empty.
struct LogWindow {
    let values: UnsafeBufferPointer<Double>
    let timesNanoseconds: UnsafeBufferPointer<Int64>
    let range: Range<Int>
    /// The window's start, which is not part of it.
    let startNanoseconds: Int64
    /// The window's end, which is part of it.
    let endNanoseconds: Int64
    /// The rank of `quantile_over_time`.
    let parameter: Double

    var lengthSeconds: Double { Double(endNanoseconds - startNanoseconds) / 1e9 }
    var samples: Slice<UnsafeBufferPointer<Double>> { values[range] }
}

/// How a range function makes one number of a window.
enum LogWindowFunction: Sendable {
    /// Looks at each window by itself.
    case window(@Sendable (LogWindow) -> Double)
    /// Combines the samples two by two, so that windows which overlap share the work, and ends with `finish`.
    case fold(@Sendable (Double, Double) -> Double, finish: @Sendable (Double, LogWindow) -> Double)
}

extension LogRangeFunction {
    /// The only place a function is listed; `absent_over_time` looks at all series at once. Without `unwrap` every line
    /// counts for one, or for its bytes.
    static let functions: [LogRangeFunction: LogWindowFunction] = [
        .count: .window { Double($0.range.count) },
        .rate: .fold(+) { sum, window in sum / window.lengthSeconds },
        .bytes: .fold(+) { sum, _ in sum },
        .bytesRate: .fold(+) { sum, window in sum / window.lengthSeconds },
        .sum: .fold(+) { sum, _ in sum },
        .average: .fold(+) { sum, window in LogWindowFunctions.average(sum, window) },
        .minimum: .fold({ $1 < $0 || $0.isNaN ? $1 : $0 }) { least, _ in least },
        .maximum: .fold({ $1 > $0 || $0.isNaN ? $1 : $0 }) { greatest, _ in greatest },
        .first: .window { $0.values[$0.range.lowerBound] },
        .last: .window { $0.values[$0.range.upperBound - 1] },
        .deviation: .window { LogWindowFunctions.variance($0).squareRoot() },
        .variance: .window { LogWindowFunctions.variance($0) },
        .quantile: .window { window in
            var values = Array(window.samples)
            return Quantile.of(&values, window.parameter)
        },
        .rateCounter: .window { LogWindowFunctions.counterRate($0) },
    ]
}

/// The range functions that are more than a line.
enum LogWindowFunctions {
    /// The mean; a sum that grows over all bounds is found step by step instead.
    static func average(_ sum: Double, _ window: LogWindow) -> Double {
        if sum.isInfinite, window.samples.allSatisfy(\.isFinite) {
            var mean = RunningMean(window.values[window.range.lowerBound])
            for value in window.samples.dropFirst() { mean.add(value) }
            return mean.value
        }
        return sum / Double(window.range.count)
    }

    /// Welford 1962.
    static func variance(_ window: LogWindow) -> Double {
        var count: Double = 0
        var mean: Double = 0
        var squares: Double = 0
        for value in window.samples {
            count += 1
            let delta = value - mean
            mean += delta / count
            squares += delta * (value - mean)
        }
        return squares / count
    }

    /// The rate of a counter: what it grew, resets made good, carried on to the window's ends as Prometheus does: by
    /// half an interval where a sample is missing there, and not below zero.
    static func counterRate(_ window: LogWindow) -> Double {
        guard window.range.count > 1 else { return 0 }
        let (first, last) = (window.range.lowerBound, window.range.upperBound - 1)
        var increase = window.values[last] - window.values[first]
        var previous = window.values[first]
        for value in window.samples {
            if value < previous { increase += previous }
            previous = value
        }
        func seconds(_ nanoseconds: Int64) -> Double { Double(nanoseconds) / 1e9 }
        let sampled = seconds(window.timesNanoseconds[last] - window.timesNanoseconds[first])
        let interval = sampled / Double(window.range.count - 1)
        var toStart = seconds(window.timesNanoseconds[first] - window.startNanoseconds)
        var toEnd = seconds(window.endNanoseconds - window.timesNanoseconds[last])
        if toStart >= interval * 1.1 { toStart = interval / 2 }
        if toEnd >= interval * 1.1 { toEnd = interval / 2 }
        if increase > 0, window.values[first] >= 0 {
            toStart = min(toStart, sampled * (window.values[first] / increase))
        }
        return increase * ((sampled + toStart + toEnd) / sampled) / window.lengthSeconds
    }
}
