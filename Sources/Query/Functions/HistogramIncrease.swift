internal import Telemetry

/// The change of a native histogram over a window, resets added back, before it is extrapolated.
///
/// Source: `histogramRate` in Prometheus 3.14's `promql/functions.go`.
struct HistogramIncrease {
    let windows: HistogramWindows
    let isCounter: Bool

    private var input: WindowInput { windows.input }

    /// The change over the samples `window` of the run, at least two.
    func change(over window: Range<Int>) throws(HistogramMismatch) -> NativeHistogram? {
        let histograms = input.run.histograms
        var previous = histograms[window.lowerBound]
        let last = histograms[window.upperBound - 1]
        if isCounter, histograms[window].contains(where: { $0.counterResetHint == .gauge }) {
            windows.warnNotCounter()
        }
        let second = window.lowerBound + 1
        if isCounter, isReset(at: second, since: previous) {
            // What the first sample looks like does not matter: it is not part of the change.
            var empty = NativeHistogram()
            empty.schema = histograms[second].schema
            empty.customBounds = histograms[second].customBounds
            previous = empty
        }
        guard last.usesCustomBuckets == previous.usesCustomBuckets else { throw HistogramMismatch() }
        var schema = min(last.schema, previous.schema)
        if isCounter {
            for histogram in histograms[window.dropFirst().dropLast()] {
                guard histogram.usesCustomBuckets == previous.usesCustomBuckets else { throw HistogramMismatch() }
                schema = min(schema, histogram.schema)
            }
        }
        var sum = last.reduced(toSchema: schema)
        if try sum.subtract(previous).hasReconciledBounds { windows.inform(ofReconciledBoundsIn: "subtraction") }
        if isCounter {
            try addResets(window, after: previous, to: &sum)
        } else if histograms[window.lowerBound].counterResetHint != .gauge || last.counterResetHint != .gauge {
            windows.warnNotGauge()
        }
        return sum.hinting(.gauge).compacted
    }

    private func addResets(
        _ window: Range<Int>, after first: NativeHistogram, to sum: inout NativeHistogram
    ) throws(HistogramMismatch) {
        var previous = first
        var overlaps = 0
        for index in window.dropFirst() {
            if input.histogramOverlapsBefore(at: index) { overlaps += 1 }
            if isReset(at: index, since: previous), try sum.add(previous).hasReconciledBounds {
                windows.inform(ofReconciledBoundsIn: "addition")
            }
            previous = input.run.histograms[index]
        }
        input.warnOfOverlap(overlaps)
    }

    func isReset(at index: Int, since previous: NativeHistogram) -> Bool {
        input.histogramStartedAnew(at: index) || input.run.histograms[index].isReset(since: previous)
    }
}

extension WindowInput {
    func warnOfOverlap(_ overlaps: Int) {
        guard overlaps > 0 else { return }
        evaluator.warn(
            "sample has start time that overlaps with previous sample timestamp for metric "
                + GoText.quoted(metricName), at: rangePlace)
    }

    func histogramStartedAnew(at index: Int) -> Bool {
        guard evaluator.options.usesStartTimestamps, index > 0 else { return false }
        return StartTimes.isReset(
            start: run.histogramStartTimes[index], time: run.histogramTimes[index],
            previousStart: run.histogramStartTimes[index - 1], previousTime: run.histogramTimes[index - 1])
    }

    func histogramOverlapsBefore(at index: Int) -> Bool {
        guard evaluator.options.usesStartTimestamps, index > 0 else { return false }
        let start = run.histogramStartTimes[index]
        return start != 0 && start < run.histogramTimes[index - 1] && start != run.histogramStartTimes[index - 1]
    }
}

/// What start timestamps say of two samples in a row.
enum StartTimes {
    /// Whether the later sample's counter began at or behind the earlier one.
    static func isReset(start: Int64, time: Int64, previousStart: Int64, previousTime: Int64) -> Bool {
        // Not known, or not to be believed.
        if start == 0 || start >= time || start < previousTime { return false }
        if start > previousTime { return true }
        // It begins where the sample before was taken: so do deltas, and counters whose beginning is not known.
        return previousStart < previousTime && previousStart != 0
    }
}
