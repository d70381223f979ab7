internal import Telemetry

/// `rate`, `increase` and `delta`: the change over a window, extrapolated to its edges as Prometheus does.
///
/// Source: `extrapolatedRate` in Prometheus 3.14's `promql/functions.go`.
struct CounterIncrease {
    let isCounter: Bool
    let isRate: Bool

    func evaluate(_ input: WindowInput, _ column: inout SeriesColumn) throws {
        try input.refuseHistograms()
        if input.extent != nil { throw input.notSupportedExtent }
        let resets = isCounter ? resetIndexes(input) : []
        var firstReset = 0
        for step in 0..<input.stepCount {
            let window = input.windows[step]
            guard !window.isEmpty else { continue }
            // Resets are rare, so each window adds up its own.
            while firstReset < resets.count, resets[firstReset] <= window.lowerBound { firstReset += 1 }
            var change = input.run.values[window.upperBound - 1] - input.run.values[window.lowerBound]
            var index = firstReset
            while index < resets.count, resets[index] < window.upperBound {
                change += input.run.values[resets[index] - 1]
                index += 1
            }
            if let value = extrapolated(change, input, window, step) { column.values[step] = value }
        }
        informOfDoubtfulName(input, column)
    }

    /// The samples that are lower than the one before, or whose counter began anew.
    private func resetIndexes(_ input: WindowInput) -> [Int] {
        let values = input.run.values
        var indexes: [Int] = []
        var overlaps = 0
        for index in 1..<max(1, values.count) {
            if values[index] < values[index - 1] || input.startedAnew(at: index) { indexes.append(index) }
            if input.overlapsBefore(at: index) { overlaps += 1 }
        }
        if overlaps > 0 {
            let times = overlaps > 1 ? " (\(overlaps) occurrences)" : ""
            input.evaluator.warn(
                "sample has start time that overlaps with previous sample timestamp for metric "
                    + GoText.quoted(input.metricName) + times, at: input.rangeArgument.span)
        }
        return indexes
    }

    private func extrapolated(
        _ sampledChange: Double, _ input: WindowInput, _ window: Range<Int>, _ step: Int
    ) -> Double? {
        let run = input.run
        let end = input.windowEnds[step]
        let start = end - input.lengthMilliseconds
        let firstTime = run.times[window.lowerBound]
        let lastTime = run.times[window.upperBound - 1]
        var change = sampledChange
        var toStart = Double(firstTime - start) / 1000
        var toEnd = Double(end - lastTime) / 1000
        var sampled = Double(lastTime - firstTime) / 1000
        let spacing = window.count > 1 ? sampled / Double(window.count - 1) : 0
        let threshold = spacing * 1.1
        if let began = beginning(input, window.lowerBound, after: start) {
            // The counter was zero when it began, and that lies within the window: nothing to guess on the left.
            toStart = 0
            sampled = Double(lastTime - began) / 1000
            change += run.values[window.lowerBound]
        } else if window.count == 1 {
            return nil
        } else {
            // A sample would be expected nearer to the edge: the series began about half a spacing before its first.
            if toStart >= threshold { toStart = spacing / 2 }
            let first = run.values[window.lowerBound]
            // A counter is never below zero: do not extrapolate beyond the point where it would have been zero.
            if isCounter, change > 0, first >= 0 { toStart = min(toStart, sampled * (first / change)) }
        }
        if toEnd >= threshold { toEnd = spacing / 2 }
        var factor = sampled == 0 ? 1 : (sampled + toStart + toEnd) / sampled
        if isRate { factor /= Double(input.lengthMilliseconds) / 1000 }
        return change * factor
    }

    /// When the counter of sample `index` began, if that is known, before the sample, and within the window.
    private func beginning(_ input: WindowInput, _ index: Int, after start: Int64) -> Int64? {
        guard isCounter, input.evaluator.options.usesStartTimestamps, !input.run.startTimes.isEmpty else { return nil }
        let began = input.run.startTimes[index]
        return began != 0 && began > start && began < input.run.times[index] ? began : nil
    }

    private func informOfDoubtfulName(_ input: WindowInput, _ column: SeriesColumn) {
        let name = input.metricName
        guard isCounter, !name.isEmpty, column.values.contains(where: { !SeriesColumn.isAbsent($0) }) else { return }
        let endings = ["_total", "_sum", "_count", "_bucket"]
        guard !endings.contains(where: { name.hasSuffix($0) }) else { return }
        input.evaluator.inform(
            "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \(GoText.quoted(name))",
            at: input.rangeArgument.span)
    }
}
