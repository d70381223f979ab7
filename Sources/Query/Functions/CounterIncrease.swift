internal import CKernels
internal import Telemetry

/// `rate`, `increase` and `delta`: the change over a window, extrapolated to its edges as Prometheus does.
///
/// Source: `extrapolatedRate` in Prometheus 3.14's `promql/functions.go`.
struct CounterIncrease {
    let isCounter: Bool
    let isRate: Bool

    func evaluate(_ input: WindowInput, _ column: inout SeriesColumn) throws {
        if let extent = input.extent {
            try ExtendedIncrease(input: input, isCounter: isCounter, isRate: isRate, isSmoothed: extent == .smoothed)
                .evaluate(&column)
        } else {
            try numbers(input, &column)
            try histograms(input, &column)
        }
        if isCounter, !column.hasNoNumber { informOfDoubtfulName(input) }
    }

    /// The change over a window of whole chunks.
    func value(of whole: ChunkAggregate, _ input: WindowInput) -> Double? {
        let span = SampledSpan(
            first: whole.first.milliseconds, last: whole.last.milliseconds, count: whole.count,
            firstValue: whole.first.value, change: whole.increase)
        guard let factor = extrapolation(input).factor(span, windowEnd: input.windowEnds[0]) else { return nil }
        informOfDoubtfulName(input)
        return whole.increase * factor
    }

    private func extrapolation(_ input: WindowInput) -> Extrapolation {
        Extrapolation(isCounter: isCounter, isRate: isRate, lengthMilliseconds: input.lengthMilliseconds)
    }

    // MARK: Numbers

    private func numbers(_ input: WindowInput, _ column: inout SeriesColumn) throws {
        if input.run.startTimes.isEmpty, input.run.histograms.isEmpty { return try plainNumbers(input, &column) }
        let resets = isCounter ? resetIndexes(input) : []
        let hasStarts = !input.run.startTimes.isEmpty
        let hasHistograms = !input.run.histograms.isEmpty
        let extrapolation = extrapolation(input)
        let (windows, ends) = (input.windows, input.windowEnds)
        var meter = WorkMeter(input.evaluator.context)
        var firstReset = 0
        let (times, values) = (input.run.times, input.run.values)
        for step in 0..<ends.count {
            let window = windows[step]
            guard !window.isEmpty else { continue }
            if hasHistograms, !input.histogramWindows[step].isEmpty { continue }
            let (first, last) = (window.lowerBound, window.upperBound - 1)
            // Resets are rare, so each window adds up its own.
            while firstReset < resets.count, resets[firstReset] <= first { firstReset += 1 }
            var change = values[last] - values[first]
            var index = firstReset
            while index < resets.count, resets[index] <= last {
                change += values[resets[index] - 1]
                index += 1
            }
            try meter.spend(index - firstReset)
            let began = hasStarts ? beginning(input, input.run.startTimes[first], first, step) : nil
            if began != nil { change += values[first] }
            let span = SampledSpan(
                first: times[first], last: times[last], count: window.count, began: began,
                firstValue: values[first], change: change)
            if let factor = extrapolation.factor(span, windowEnd: ends[step]) { column.values[step] = change * factor }
        }
    }

    /// As below, where there is nothing but numbers: what only depends on times is computed once for all series that
    /// share them.
    private func plainNumbers(_ input: WindowInput, _ column: inout SeriesColumn) throws {
        let values = input.run.values
        guard !values.isEmpty else { return }
        let divisor = isRate ? Double(input.lengthMilliseconds) / 1000 : 1
        let edges = input.plan.edges
        guard isCounter, vedette_any_fall(values, values.count) != 0 else {
            return edges.extrapolate(values, nil, isCounter: isCounter, divisor: divisor, into: &column.values)
        }
        let changes = try changes(input, values)
        edges.extrapolate(values, changes, isCounter: isCounter, divisor: divisor, into: &column.values)
    }

    /// The change over each window of a counter that was reset.
    private func changes(_ input: WindowInput, _ values: [Double]) throws -> [Double] {
        let resets = resetIndexes(input)
        var changes = [Double](repeating: 0, count: input.windowEnds.count)
        var meter = WorkMeter(input.evaluator.context)
        var firstReset = 0
        for step in changes.indices {
            let window = input.windows[step]
            guard window.count > 1 else { continue }
            let (first, last) = (window.lowerBound, window.upperBound - 1)
            while firstReset < resets.count, resets[firstReset] <= first { firstReset += 1 }
            var change = values[last] - values[first]
            var index = firstReset
            while index < resets.count, resets[index] <= last {
                change += values[resets[index] - 1]
                index += 1
            }
            try meter.spend(index - firstReset)
            changes[step] = change
        }
        return changes
    }

    /// The samples that are lower than the one before, or whose counter began anew.
    private func resetIndexes(_ input: WindowInput) -> [Int] {
        let values = input.run.values
        guard values.count > 1 else { return [] }
        var indexes: [Int] = []
        guard !input.run.startTimes.isEmpty else {
            values.withUnsafeBufferPointer { values in
                for index in 1..<values.count where values[index] < values[index - 1] { indexes.append(index) }
            }
            return indexes
        }
        var overlaps = 0
        for index in 1..<values.count {
            if values[index] < values[index - 1] || input.startedAnew(at: index) { indexes.append(index) }
            if input.overlapsBefore(at: index) { overlaps += 1 }
        }
        input.warnOfOverlap(overlaps)
        return indexes
    }

    // MARK: Histograms

    private func histograms(_ input: WindowInput, _ column: inout SeriesColumn) throws {
        guard !input.run.histograms.isEmpty else { return }
        let extrapolation = extrapolation(input)
        let windows = HistogramWindows(input: input)
        let increase = HistogramIncrease(windows: windows, isCounter: isCounter)
        try windows.forEach(&column) { step, histograms in
            let window = input.histogramWindows[step]
            guard let firstIndex = window.first, let lastIndex = window.last else { return nil }
            let first = histograms[firstIndex]
            var change = window.count > 1 ? try increase.change(over: window) : nil
            if window.count > 1, change == nil { return nil }
            let began = beginning(input, input.run.histogramStartTimes[firstIndex], firstIndex, step, isHistogram: true)
            let sampled = change
            if began != nil {
                if change == nil {
                    change = first
                } else if try change?.add(first).hasReconciledBounds == true {
                    windows.inform(ofReconciledBoundsIn: "addition")
                }
            }
            let span = SampledSpan(
                first: input.run.histogramTimes[firstIndex], last: input.run.histogramTimes[lastIndex],
                count: window.count, began: began, firstValue: first.count, change: sampled?.count ?? 0)
            guard let change, let factor = extrapolation.factor(span, windowEnd: input.windowEnds[step]) else {
                return nil
            }
            return change.multiplied(by: factor)
        }
    }

    /// When the counter of a window's first sample began, if that is known, before the sample, and within the window.
    private func beginning(
        _ input: WindowInput, _ began: Int64, _ index: Int, _ step: Int, isHistogram: Bool = false
    ) -> Int64? {
        guard isCounter, input.evaluator.options.usesStartTimestamps, began != 0 else { return nil }
        let time = isHistogram ? input.run.histogramTimes[index] : input.run.times[index]
        let start = input.windowEnds[step] - input.lengthMilliseconds
        return began > start && began < time ? began : nil
    }

    private func informOfDoubtfulName(_ input: WindowInput) {
        guard isCounter, !input.labels.isNamedAsCounter else { return }
        let name = input.metricName
        guard !name.isEmpty else { return }
        input.evaluator.inform(
            "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \(GoText.quoted(name))",
            at: input.rangePlace)
    }
}

/// What is known of the samples within a window.
private struct SampledSpan {
    var first: Int64
    var last: Int64
    var count: Int
    /// When the counter began, where that lies within the window.
    var began: Int64?
    var firstValue: Double
    var change: Double
}

/// Carries the change between the samples of a window to the window's edges.
private struct Extrapolation {
    private let isCounter: Bool
    private let lengthMilliseconds: Int64
    /// What the change of a window is divided by: its seconds for a rate.
    private let divisor: Double

    init(isCounter: Bool, isRate: Bool, lengthMilliseconds: Int64) {
        self.isCounter = isCounter
        self.lengthMilliseconds = lengthMilliseconds
        divisor = isRate ? Double(lengthMilliseconds) / 1000 : 1
    }

    /// What the sampled change is multiplied with to cover the whole window; nil where one sample says nothing.
    @inline(__always)
    func factor(_ span: SampledSpan, windowEnd: Int64) -> Double? {
        var toStart = Double(span.first &- (windowEnd &- lengthMilliseconds)) / 1000
        var toEnd = Double(windowEnd &- span.last) / 1000
        var sampled = Double(span.last &- span.first) / 1000
        let spacing = span.count > 1 ? sampled / Double(span.count - 1) : 0
        let threshold = spacing * 1.1
        if let began = span.began {
            // The counter was zero when it began: nothing to guess on the left.
            toStart = 0
            sampled = Double(span.last &- began) / 1000
        } else if span.count == 1 {
            return nil
        } else {
            // A sample would be expected nearer to the edge: the series began about half a spacing before its first.
            if toStart >= threshold { toStart = spacing / 2 }
            // A counter is never below zero: do not extrapolate beyond the point where it would have been zero.
            if isCounter, span.change > 0, span.firstValue >= 0 {
                toStart = min(toStart, sampled * (span.firstValue / span.change))
            }
        }
        if toEnd >= threshold { toEnd = spacing / 2 }
        return (sampled == 0 ? 1 : (sampled + toStart + toEnd) / sampled) / divisor
    }
}

extension Labels {
    private static let counterEndings: [StaticString] = ["_total", "_sum", "_count", "_bucket"]

    /// Whether the metric's name ends as the names of counters do.
    fileprivate var isNamedAsCounter: Bool {
        var isNamed = false
        forEachPair { name, value in
            guard name.isSame(as: "__name__") else { return }
            isNamed = Labels.counterEndings.contains { ending in
                let start = value.count - ending.utf8CodeUnitCount
                return start >= 0 && UnsafeRawBufferPointer(rebasing: value[start...]).isSame(as: ending)
            }
        }
        return isNamed
    }
}
