internal import Telemetry

/// `sum` and `avg` where native histograms are among the series.
extension Evaluator {
    /// Folds the histograms of a group at the steps that have nothing else; a mix has no answer.
    func foldHistograms(_ members: [SeriesColumn], _ node: Aggregation, into result: inout SeriesColumn) throws {
        let span = node.operand.span
        for step in 0..<times.count {
            let present = members.filter { $0.histograms[step] != nil }
            guard !present.isEmpty else { continue }
            try context.check()
            if result.hasNumber(at: step) {
                warn("encountered a mix of histograms and floats for aggregation", at: span)
                result.values[step] = SeriesColumn.absent
                continue
            }
            var hints = ResetHints()
            for column in present { column.histograms[step].map { hints.see($0) } }
            if let folded = try folded(present, step, node) {
                result.set(folded, at: step)
                hints.warn(self, at: span)
            }
        }
    }

    private func folded(
        _ columns: [SeriesColumn], _ step: Int, _ node: Aggregation
    ) throws -> NativeHistogram? {
        guard let first = columns.first?.histogram(at: step) else { return nil }
        var sum = HistogramSum(first)
        var mean = HistogramMean(first)
        for column in columns.dropFirst() {
            guard let histogram = column.histogram(at: step) else { continue }
            do throws(HistogramMismatch) {
                let outcome = try node.operation == .sum ? sum.add(histogram) : mean.add(histogram)
                if outcome.hasReconciledBounds {
                    inform("mismatched custom buckets were reconciled during aggregation", at: node.operand.span)
                }
            } catch {
                warn(
                    "vector contains a mix of histograms with exponential and custom buckets schemas for metric name "
                        + GoText.quoted(column.labels.metricName ?? ""), at: node.operand.span)
                return nil
            }
        }
        return (node.operation == .sum ? sum.value : mean.value).compacted
    }
}
