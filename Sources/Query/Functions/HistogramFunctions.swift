internal import Telemetry

extension Functions {
    /// Functions of histograms: classic ones, whose buckets are series with an `le` label, and native ones.
    static let histogramFunctions: [Function] = [
        Function("histogram_quantile", [.scalar, .vector], .general(quantile)),
        Function("histogram_quantiles", [.vector, .string, .scalar, .scalar], variadic: 9, .general(quantiles)),
        Function("histogram_fraction", [.scalar, .scalar, .vector], .general(fraction)),
        Function("histogram_count", [.vector], .general(ofNative)),
        Function("histogram_sum", [.vector], .general(ofNative)),
        Function("histogram_avg", [.vector], .general(ofNative)),
        Function("histogram_stddev", [.vector], .general(ofNative)),
        Function("histogram_stdvar", [.vector], .general(ofNative)),
    ]

    /// The buckets of one classic histogram as columns.
    private struct BucketColumns {
        var labels: Labels
        var bounds: [Double] = []
        var columns: [SeriesColumn] = []

        func histogram(at step: Int) -> ClassicHistogram? {
            var buckets: [ClassicHistogram.Bucket] = []
            for (bound, column) in zip(bounds, columns) where column.hasNumber(at: step) {
                buckets.append(ClassicHistogram.Bucket(upperBound: bound, count: column.values[step]))
            }
            return buckets.isEmpty ? nil : ClassicHistogram(buckets)
        }
    }

    @Sendable private static func quantile(_ evaluator: Evaluator, _ call: Call) throws -> Evaluated {
        let ranks = try evaluator.scalar(call.arguments[0])
        warnOfBadRank(ranks, at: call.arguments[0].span, evaluator)
        let histograms = try classicHistograms(evaluator, call, argument: call.arguments[1])
        return .vector(quantileColumns(histograms, ranks, evaluator, argument: call.arguments[1]))
    }

    @Sendable private static func quantiles(_ evaluator: Evaluator, _ call: Call) throws -> Evaluated {
        let label = evaluator.string(call.arguments[1])
        let histograms = try classicHistograms(evaluator, call, argument: call.arguments[0])
        var all: [SeriesColumn] = []
        for argument in call.arguments.dropFirst(2) {
            let ranks = try evaluator.scalar(argument)
            warnOfBadRank(ranks, at: argument.span, evaluator)
            var columns = quantileColumns(histograms, ranks, evaluator, argument: call.arguments[0])
            guard let rank = ranks.first else { continue }
            for index in columns.indices {
                columns[index].labels = columns[index].labels.setting(label, to: GoText.openMetrics(rank))
            }
            all += columns
        }
        return .vector(try MergedColumns.merged(all))
    }

    @Sendable private static func fraction(_ evaluator: Evaluator, _ call: Call) throws -> Evaluated {
        let lower = try evaluator.scalar(call.arguments[0])
        let upper = try evaluator.scalar(call.arguments[1])
        let histograms = try classicHistograms(evaluator, call, argument: call.arguments[2])
        return .vector(
            histograms.map { buckets in
                var column = SeriesColumn(labels: buckets.labels, count: evaluator.times.count)
                column.dropsName = true
                for step in 0..<evaluator.times.count {
                    guard let histogram = buckets.histogram(at: step) else { continue }
                    column.values[step] = histogram.fraction(from: lower[step], to: upper[step])
                }
                return column
            })
    }

    @Sendable private static func ofNative(_ evaluator: Evaluator, _ call: Call) throws -> Evaluated {
        let columns = try evaluator.vector(call.arguments[0])
        if columns.contains(where: { !$0.histograms.isEmpty }) {
            throw evaluator.notSupported("native histograms in \(call.function.name)", at: call.span)
        }
        // Numbers are no histograms.
        return .vector([])
    }

    private static func quantileColumns(
        _ histograms: [BucketColumns], _ ranks: [Double], _ evaluator: Evaluator, argument: Expression
    ) -> [SeriesColumn] {
        histograms.map { buckets in
            var column = SeriesColumn(labels: buckets.labels, count: evaluator.times.count)
            column.dropsName = true
            var repairs = RepairReport()
            for step in 0..<evaluator.times.count {
                guard var histogram = buckets.histogram(at: step) else { continue }
                column.values[step] = histogram.quantile(ranks[step])
                repairs.add(histogram.repair, at: evaluator.times[step])
            }
            repairs.inform(evaluator, buckets.labels, at: argument.span)
            return column
        }
    }

    private static func warnOfBadRank(_ ranks: [Double], at span: SourceSpan, _ evaluator: Evaluator) {
        guard let bad = ranks.first(where: { !($0 >= 0 && $0 <= 1) }) else { return }
        Quantile.warn(bad, at: span, evaluator)
    }

    /// Gathers series that differ in `le` only.
    private static func classicHistograms(
        _ evaluator: Evaluator, _ call: Call, argument: Expression
    ) throws -> [BucketColumns] {
        var places: [Labels: Int] = [:]
        var result: [BucketColumns] = []
        for column in try evaluator.vector(argument) {
            guard column.histograms.isEmpty else {
                throw evaluator.notSupported("native histograms in \(call.function.name)", at: call.span)
            }
            let text = column.labels["le"] ?? ""
            guard let bound = try? GoText.number(text) else {
                let name = column.labels.metricName.map { " for metric name \(GoText.quoted($0))" } ?? ""
                evaluator.warn(
                    "bucket label \"le\" is missing or has a malformed value of \(GoText.quoted(text))\(name)",
                    at: argument.span)
                continue
            }
            let labels = column.labels.dropping(["le"])
            let place = places[labels] ?? result.count
            if place == result.count {
                places[labels] = place
                result.append(BucketColumns(labels: labels))
            }
            result[place].bounds.append(bound)
            result[place].columns.append(column)
        }
        return result
    }
}

/// Gathers over the steps how often and how far buckets had to be repaired, for one remark per series.
private struct RepairReport {
    private var repair: ClassicHistogram.Repair?
    private var count = 0
    private var firstTime: Int64 = 0
    private var lastTime: Int64 = 0

    mutating func add(_ found: ClassicHistogram.Repair?, at time: Int64) {
        guard let found else { return }
        if count == 0 { firstTime = time }
        lastTime = time
        count += 1
        repair = ClassicHistogram.Repair(
            lowestBound: min(repair?.lowestBound ?? .infinity, found.lowestBound),
            highestBound: max(repair?.highestBound ?? -.infinity, found.highestBound),
            largestDifference: max(repair?.largestDifference ?? 0, found.largestDifference))
    }

    func inform(_ evaluator: Evaluator, _ labels: Labels, at span: SourceSpan) {
        guard let repair else { return }
        let name = labels.metricName.map { " for metric name \(GoText.quoted($0))" } ?? ""
        let bounds = "\(GoText.general(repair.lowestBound)) to \(GoText.general(repair.highestBound))"
        let times = "\(CivilDate.text(milliseconds: firstTime)) to \(CivilDate.text(milliseconds: lastTime))"
        evaluator.inform(
            "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/"
                + "latest/querying/functions/#histogram_quantile)\(name), from buckets \(bounds), with a max diff of "
                + "\(GoText.twoDigits(repair.largestDifference)), over \(count) samples from \(times)", at: span)
    }
}
