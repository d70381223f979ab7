internal import Telemetry

/// Functions of histograms: classic ones, whose buckets are series with an `le` label, and native ones.
extension Functions {
    static let histogramFunctions: [Function] = [
        Function("histogram_quantile", [.scalar, .vector], .general(quantile)),
        Function("histogram_quantiles", [.vector, .string, .scalar, .scalar], variadic: 9, .general(quantiles)),
        Function("histogram_fraction", [.scalar, .scalar, .vector], .general(fraction)),
        Function("histogram_count", [.vector], .general { try each($0, $1) { $0.count } }),
        Function("histogram_sum", [.vector], .general { try each($0, $1) { $0.sum } }),
        Function("histogram_avg", [.vector], .general { try each($0, $1) { $0.sum / $0.count } }),
        Function(
            "histogram_stddev", [.vector],
            .general { try each($0, $1) { HistogramStatistics(histogram: $0).variance.squareRoot() } }),
        Function(
            "histogram_stdvar", [.vector],
            .general { try each($0, $1) { HistogramStatistics(histogram: $0).variance } }),
    ]

    @Sendable private static func quantile(_ evaluator: Evaluator, _ call: Call) throws -> Evaluated {
        let ranks = try evaluator.scalar(call.arguments[0])
        warnOfBadRank(ranks, at: call.arguments[0].span, evaluator)
        let histograms = try HistogramVector(evaluator, call.arguments[1])
        return .vector(try histograms.quantiles(ranks))
    }

    @Sendable private static func quantiles(_ evaluator: Evaluator, _ call: Call) throws -> Evaluated {
        let label = evaluator.string(call.arguments[1])
        let histograms = try HistogramVector(evaluator, call.arguments[0])
        var all: [SeriesColumn] = []
        for argument in call.arguments.dropFirst(2) {
            let ranks = try evaluator.scalar(argument)
            warnOfBadRank(ranks, at: argument.span, evaluator)
            for column in try histograms.quantiles(ranks) {
                all += labelled(column, label, ranks)
            }
        }
        return .vector(try MergedColumns.merged(all))
    }

    /// A column with its rank as a label; a rank that changes from step to step makes several.
    private static func labelled(_ column: SeriesColumn, _ label: String, _ ranks: [Double]) -> [SeriesColumn] {
        Set(ranks.map { GoText.openMetrics($0) }).sorted().compactMap { text in
            var labelled = column
            labelled.labels = column.labels.setting(label, to: text)
            return labelled.keeping { GoText.openMetrics(ranks[$0]) == text }
        }
    }

    @Sendable private static func fraction(_ evaluator: Evaluator, _ call: Call) throws -> Evaluated {
        let lower = try evaluator.scalar(call.arguments[0])
        let upper = try evaluator.scalar(call.arguments[1])
        let histograms = try HistogramVector(evaluator, call.arguments[2])
        return .vector(try histograms.fractions(from: lower, to: upper))
    }

    /// A number for each native histogram; numbers are no histograms and are left out.
    private static func each(
        _ evaluator: Evaluator, _ call: Call, _ transform: (NativeHistogram) -> Double
    ) throws -> Evaluated {
        // The answer shows no buckets, so a reset that only they would tell of must be found while reading.
        var reader = evaluator
        reader.detectsResets = !evaluator.isInSubquery
        var result: [SeriesColumn] = []
        for column in try reader.vector(call.arguments[0]) where !column.histograms.isEmpty {
            var numbers = SeriesColumn(labels: column.labels, count: evaluator.times.count)
            numbers.dropsName = true
            for step in column.histograms.indices {
                if let histogram = column.histograms[step] { numbers.values[step] = transform(histogram) }
            }
            if !numbers.isEmpty { result.append(numbers) }
        }
        return .vector(result)
    }

    private static func warnOfBadRank(_ ranks: [Double], at span: SourceSpan, _ evaluator: Evaluator) {
        guard let bad = ranks.first(where: { !($0 >= 0 && $0 <= 1) }) else { return }
        Quantile.warn(bad, at: span, evaluator)
    }
}
