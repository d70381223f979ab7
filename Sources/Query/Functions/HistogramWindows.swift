internal import Telemetry

/// What window functions do with the native histograms of a window.
struct HistogramWindows {
    let input: WindowInput

    /// Where a window holds both kinds, there is no answer, and the reader is told.
    func warnOfMix() {
        input.evaluator.warn(
            "encountered a mix of histograms and floats for metric name \(GoText.quoted(input.metricName))",
            at: input.rangePlace)
    }

    func warnOfMixedSchemas() {
        input.evaluator.warn(
            "vector contains a mix of histograms with exponential and custom buckets schemas for metric name "
                + GoText.quoted(input.metricName), at: input.rangePlace)
    }

    func inform(ofReconciledBoundsIn operation: String) {
        input.evaluator.inform(
            "mismatched custom buckets were reconciled during \(operation)", at: input.rangePlace)
    }

    func warnNotCounter(at span: SourceSpan? = nil) {
        input.evaluator.warn(
            "this native histogram metric is not a counter: \(GoText.quoted(input.metricName))",
            at: span ?? input.rangePlace)
    }

    func warnNotGauge(at span: SourceSpan? = nil) {
        input.evaluator.warn(
            "this native histogram metric is not a gauge: \(GoText.quoted(input.metricName))",
            at: span ?? input.rangePlace)
    }

    /// Calls `body` for each step whose window holds histograms alone; a mix is warned of.
    func forEach(
        _ column: inout SeriesColumn, _ body: (Int, ArraySlice<NativeHistogram>) throws -> NativeHistogram?
    ) throws {
        guard !input.run.histograms.isEmpty else { return }
        for step in 0..<input.stepCount {
            let window = input.histogramWindows[step]
            guard !window.isEmpty else { continue }
            if input.isMixed(step) {
                warnOfMix()
                continue
            }
            try input.evaluator.context.check()
            do {
                column.set(try body(step, input.run.histograms[window]), at: step)
            } catch is HistogramMismatch {
                warnOfMixedSchemas()
            }
        }
    }

    // MARK: Sums

    func sum(into column: inout SeriesColumn) throws {
        try forEach(&column) { _, histograms in
            var hints = ResetHints()
            guard let first = histograms.first else { return nil }
            hints.see(first)
            var sum = HistogramSum(first)
            for histogram in histograms.dropFirst() {
                hints.see(histogram)
                note(try sum.add(histogram))
            }
            hints.warn(input.evaluator, at: input.rangePlace)
            return sum.value
        }
    }

    func mean(into column: inout SeriesColumn) throws {
        try forEach(&column) { _, histograms in
            var hints = ResetHints()
            guard let first = histograms.first else { return nil }
            hints.see(first)
            var mean = HistogramMean(first)
            for histogram in histograms.dropFirst() {
                hints.see(histogram)
                note(try mean.add(histogram))
            }
            hints.warn(input.evaluator, at: input.rangePlace)
            return mean.value
        }
    }

    private func note(_ outcome: HistogramAddition) {
        if outcome.hasReconciledBounds { inform(ofReconciledBoundsIn: "aggregation") }
    }
}

/// Whether some histograms said "reset" and others "not reset": then their sum has no counter to belong to.
struct ResetHints {
    private var hasReset = false
    private var hasNotReset = false

    mutating func see(_ histogram: NativeHistogram) {
        if histogram.counterResetHint == .reset { hasReset = true }
        if histogram.counterResetHint == .notReset { hasNotReset = true }
    }

    func warn(_ evaluator: Evaluator, at span: SourceSpan) {
        guard hasReset, hasNotReset else { return }
        evaluator.warn("conflicting counter resets during histogram aggregation", at: span)
    }
}
