internal import Telemetry

/// Functions that fold the samples of a range into one value.
extension Functions {
    static let windowFunctions: [Function] = [
        overTime("sum_over_time", header: { $0.sum }, sum),
        overTime("avg_over_time", header: { $0.sum / Double($0.count) }, mean),
        overTime("min_over_time", header: { $0.minimum }) { try extreme($0, &$1) { $1 < $0 } },
        overTime("max_over_time", header: { $0.maximum }) { try extreme($0, &$1) { $1 > $0 } },
        overTime("count_over_time", readsOnlyPresence: true, header: { Double($0.count) }, count),
        overTime("present_over_time", readsOnlyPresence: true, header: { _ in 1 }, present),
        overTime("last_over_time", keepsName: true, header: { $0.last.value }) { last($0, &$1, fromEnd: true) },
        overTime("first_over_time", keepsName: true) { last($0, &$1, fromEnd: false) },
        overTime("stddev_over_time") { try variance($0, &$1) { $0.squareRoot() } },
        overTime("stdvar_over_time") { try variance($0, &$1) { $0 } },
        overTime("mad_over_time", medianDeviation),
        overTime("ts_of_min_over_time") { try timeOfExtreme($0, &$1) { $1 <= $0 } },
        overTime("ts_of_max_over_time") { try timeOfExtreme($0, &$1) { $1 >= $0 } },
        overTime("ts_of_first_over_time") { timeOfEdge($0, &$1, fromEnd: false) },
        overTime("ts_of_last_over_time") { timeOfEdge($0, &$1, fromEnd: true) },
        Function("quantile_over_time", [.scalar, .matrix], .window(WindowFunction(evaluate: quantile))),
        Function("absent_over_time", [.matrix], .general(absentOverTime)),
    ]

    private static func overTime(
        _ name: String, keepsName: Bool = false, readsOnlyPresence: Bool = false,
        header: (@Sendable (ChunkAggregate) -> Double)? = nil,
        _ evaluate: @escaping @Sendable (WindowInput, inout SeriesColumn) throws -> Void
    ) -> Function {
        var window = WindowFunction(keepsName: keepsName, readsOnlyPresence: readsOnlyPresence, evaluate: evaluate)
        if let header {
            window.header = { whole, _ in header(whole) }
        }
        return Function(name, [.matrix], .window(window))
    }

    // MARK: Sums

    @Sendable private static func sum(_ input: WindowInput, _ column: inout SeriesColumn) throws {
        try HistogramWindows(input: input).sum(into: &column)
        if input.windowsOverlapMuch {
            var sliding = SlidingFold<KahanSum>(
                make: { KahanSum($0) },
                combine: { left, right in
                    var sum = left
                    sum.add(right)
                    return sum
                })
            return input.run.values.withUnsafeBufferPointer { values in
                for step in 0..<input.stepCount where !input.windows[step].isEmpty && !input.isMixed(step) {
                    column.values[step] = sliding.fold(input.windows[step], of: values)?.value ?? .nan
                }
            }
        }
        try input.forEachWindow(&column) { step, values in
            if input.isMixed(step) { return nil }
            var sum = KahanSum()
            for value in values { sum.add(value) }
            return sum.value
        }
    }

    @Sendable private static func mean(_ input: WindowInput, _ column: inout SeriesColumn) throws {
        try HistogramWindows(input: input).mean(into: &column)
        try input.forEachWindow(&column) { step, values in
            if input.isMixed(step) { return nil }
            var mean = RunningMean(values[0])
            for value in values.dropFirst() { mean.add(value) }
            return mean.value
        }
    }

    @Sendable private static func count(_ input: WindowInput, _ column: inout SeriesColumn) {
        for step in 0..<input.stepCount {
            let count = input.windows[step].count + input.histogramWindows[step].count
            if count > 0 { column.values[step] = Double(count) }
        }
    }

    @Sendable private static func present(_ input: WindowInput, _ column: inout SeriesColumn) {
        for step in 0..<input.stepCount
        where !input.windows[step].isEmpty || !input.histogramWindows[step].isEmpty {
            column.values[step] = 1
        }
    }

    // MARK: Extremes

    private static func extreme(
        _ input: WindowInput, _ column: inout SeriesColumn, _ isBetter: @escaping (Double, Double) -> Bool
    ) throws {
        input.informOfIgnoredHistograms()
        if input.windowsOverlapMuch {
            var sliding = SlidingFold<Double>(
                make: { $0 }, combine: { isBetter($0, $1) || $0.isNaN ? $1 : $0 })
            return input.run.values.withUnsafeBufferPointer { values in
                for step in 0..<input.stepCount where !input.windows[step].isEmpty {
                    column.values[step] = sliding.fold(input.windows[step], of: values) ?? .nan
                }
            }
        }
        try input.forEachWindow(&column) { _, values in
            var best = values[0]
            for value in values where isBetter(best, value) || best.isNaN { best = value }
            return best
        }
    }

    private static func timeOfExtreme(
        _ input: WindowInput, _ column: inout SeriesColumn, _ isBetter: (Double, Double) -> Bool
    ) throws {
        input.informOfIgnoredHistograms()
        var meter = WorkMeter(input.evaluator.context)
        for step in 0..<input.stepCount {
            let window = input.windows[step]
            guard var best = window.first else { continue }
            try meter.spend(window.count)
            for index in window {
                let value = input.run.values[best]
                if isBetter(value, input.run.values[index]) || value.isNaN { best = index }
            }
            column.values[step] = Double(input.run.times[best]) / 1000
        }
    }

    // MARK: Edges

    /// The newest or oldest sample of the window, be it a number or a histogram.
    private static func last(_ input: WindowInput, _ column: inout SeriesColumn, fromEnd: Bool) {
        for step in 0..<input.stepCount {
            let number = edge(input.windows[step], fromEnd: fromEnd)
            let histogram = edge(input.histogramWindows[step], fromEnd: fromEnd)
            if let histogram {
                let time = input.run.histogramTimes[histogram]
                let isNumberCloser = number.map { (input.run.times[$0] > time) == fromEnd } ?? false
                if !isNumberCloser {
                    column.set(input.run.histograms[histogram], at: step)
                    continue
                }
            }
            if let number { column.values[step] = input.run.values[number] }
        }
    }

    private static func timeOfEdge(_ input: WindowInput, _ column: inout SeriesColumn, fromEnd: Bool) {
        for step in 0..<input.stepCount {
            let number = edge(input.windows[step], fromEnd: fromEnd).map { input.run.times[$0] }
            let histogram = edge(input.histogramWindows[step], fromEnd: fromEnd).map { input.run.histogramTimes[$0] }
            let found = [number, histogram].compactMap { $0 }
            guard let time = fromEnd ? found.max() : found.min() else { continue }
            column.values[step] = Double(time) / 1000
        }
    }

    private static func edge(_ window: Range<Int>, fromEnd: Bool) -> Int? { fromEnd ? window.last : window.first }

    // MARK: Spread

    private static func variance(
        _ input: WindowInput, _ column: inout SeriesColumn, _ finish: (Double) -> Double
    ) throws {
        input.informOfIgnoredHistograms()
        try input.forEachWindow(&column) { _, values in
            // Welford 1962, with compensated sums.
            var count: Double = 0
            var mean = KahanSum()
            var squares = KahanSum()
            for value in values {
                count += 1
                let delta = value - (mean.sum + mean.compensation)
                mean.add(delta / count)
                squares.add(delta * (value - (mean.sum + mean.compensation)))
            }
            return finish((squares.sum + squares.compensation) / count)
        }
    }

    @Sendable private static func medianDeviation(_ input: WindowInput, _ column: inout SeriesColumn) throws {
        input.informOfIgnoredHistograms()
        try input.forEachWindow(&column) { _, values in
            if values.contains(where: \.isNaN) { return .nan }
            var scratch = Array(values)
            let median = Quantile.of(&scratch, 0.5)
            for index in scratch.indices { scratch[index] = abs(values[index] - median) }
            return Quantile.of(&scratch, 0.5)
        }
    }

    @Sendable private static func quantile(_ input: WindowInput, _ column: inout SeriesColumn) throws {
        input.informOfIgnoredHistograms()
        var isWarned = false
        var scratch: [Double] = []
        let ranks = input.scalars[0]
        try input.forEachWindow(&column) { step, values in
            let rank = ranks[step]
            if !isWarned, !(rank >= 0 && rank <= 1) {
                isWarned = true
                Quantile.warn(rank, at: input.call.arguments[0].span, input.evaluator)
            }
            scratch.removeAll(keepingCapacity: true)
            scratch.append(contentsOf: values)
            return Quantile.of(&scratch, rank)
        }
    }

    // MARK: Absence

    @Sendable private static func absentOverTime(_ evaluator: Evaluator, _ call: Call) throws -> Evaluated {
        let presence = try evaluator.windowStream(WindowFunction(readsOnlyPresence: true, evaluate: present), call)
        return .vector(try absence(of: presence, like: call.arguments[0], evaluator))
    }
}

/// Quantiles of plain numbers, linearly interpolated between ranks.
enum Quantile {
    /// The `rank` quantile of `values`, which may be in any order and are reordered. Below 0 it is -Inf, above 1 +Inf.
    static func of(_ values: inout [Double], _ rank: Double) -> Double {
        if values.isEmpty || rank.isNaN { return .nan }
        if rank < 0 { return -.infinity }
        if rank > 1 { return .infinity }
        let place = rank * Double(values.count - 1)
        let lower = max(0, Int(place))
        let weight = place - Double(lower)
        return values.withUnsafeMutableBufferPointer { values in
            let first = select(lower, of: values)
            guard lower + 1 < values.count else { return first * (1 - weight) + first * weight }
            // Everything behind `lower` is at or above it: the next in order is the least of that.
            var second = values[lower + 1]
            for index in lower + 1..<values.count where precedes(values[index], second) { second = values[index] }
            return first * (1 - weight) + second * weight
        }
    }

    /// NaN sorts first.
    @inline(__always)
    private static func precedes(_ left: Double, _ right: Double) -> Bool {
        left < right || (left.isNaN && !right.isNaN)
    }

    /// The value at `place` in order; all before it are then at or below it, all behind it at or above.
    ///
    /// Hoare's selection (1961) with the median of three as the pivot. Where that halves too seldom, the rest is
    /// sorted.
    private static func select(_ place: Int, of values: UnsafeMutableBufferPointer<Double>) -> Double {
        var low = 0
        var high = values.count - 1
        var patience = 64
        while high - low > 16 {
            patience -= 1
            if patience == 0 { break }
            let middle = low + (high - low) / 2
            if precedes(values[middle], values[low]) { values.swapAt(low, middle) }
            if precedes(values[high], values[low]) { values.swapAt(low, high) }
            if precedes(values[high], values[middle]) { values.swapAt(middle, high) }
            let pivot = values[middle]
            var (left, right) = (low, high)
            while left <= right {
                while precedes(values[left], pivot) { left += 1 }
                while precedes(pivot, values[right]) { right -= 1 }
                if left <= right {
                    values.swapAt(left, right)
                    left += 1
                    right -= 1
                }
            }
            if place <= right {
                high = right
            } else if place >= left {
                low = left
            } else {
                return values[place]
            }
        }
        var rest = UnsafeMutableBufferPointer(rebasing: values[low...high])
        rest.sort(by: precedes)
        return values[place]
    }

    static func warn(_ rank: Double, at span: SourceSpan, _ evaluator: Evaluator) {
        evaluator.warn("quantile value should be between 0 and 1, got \(FloatText.general(rank))", at: span)
    }
}
