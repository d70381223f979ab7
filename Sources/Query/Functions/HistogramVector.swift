internal import Telemetry

/// A vector seen as histograms: classic ones, whose buckets are series that differ in `le` only, and native ones.
struct HistogramVector {
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

    private let evaluator: Evaluator
    private let span: SourceSpan
    private var classic: [BucketColumns] = []
    private var native: [SeriesColumn] = []

    init(_ evaluator: Evaluator, _ argument: Expression) throws {
        self.evaluator = evaluator
        span = argument.span
        var places: [Labels: Int] = [:]
        var reader = evaluator
        reader.detectsResets = false
        for column in try reader.vector(argument) {
            if !column.histograms.isEmpty { native.append(column) }
            guard column.values.contains(where: { !SeriesColumn.isAbsent($0) }) else { continue }
            let text = column.labels["le"] ?? ""
            guard let bound = try? GoText.number(text) else {
                warnOfBadBound(text, column.labels)
                continue
            }
            let labels = column.labels.dropping(["le"])
            let place = places[labels] ?? classic.count
            if place == classic.count {
                places[labels] = place
                classic.append(BucketColumns(labels: labels))
            }
            classic[place].bounds.append(bound)
            classic[place].columns.append(column)
        }
    }

    private func warnOfBadBound(_ text: String, _ labels: Labels) {
        evaluator.warn(
            "bucket label \"le\" is missing or has a malformed value of \(GoText.quoted(text))\(nameText(labels))",
            at: span)
    }

    private func nameText(_ labels: Labels) -> String {
        labels.metricName.map { " for metric name \(GoText.quoted($0))" } ?? ""
    }

    // MARK: Answers

    func quantiles(_ ranks: [Double]) throws -> [SeriesColumn] {
        var reports = [Labels: RepairReport]()
        let columns = try answers(
            native: { histogram, step, labels in
                let (value, remark) = HistogramStatistics(histogram: histogram).quantile(ranks[step])
                tell(remark, labels)
                return value
            },
            classic: { histogram, step, labels in
                let value = histogram.quantile(ranks[step])
                if let repair = histogram.repair {
                    reports[labels, default: RepairReport()].add(repair, at: evaluator.times[step])
                }
                return value
            })
        for (labels, report) in reports.sorted(by: { $0.key < $1.key }) {
            report.inform(evaluator, nameText(labels), at: span)
        }
        return columns
    }

    func fractions(from lower: [Double], to upper: [Double]) throws -> [SeriesColumn] {
        try answers(
            native: { histogram, step, labels in
                let (value, leavesOut) = HistogramStatistics(histogram: histogram)
                    .fraction(from: lower[step], to: upper[step])
                if leavesOut {
                    evaluator.inform(
                        "input to histogram_fraction has NaN observations, which are excluded from all fractions"
                            + nameText(labels), at: span)
                }
                return value
            },
            classic: { histogram, step, _ in histogram.fraction(from: lower[step], to: upper[step]) })
    }

    private func tell(_ remark: HistogramStatistics.Remark?, _ labels: Labels) {
        switch remark {
        case .isNaNBecauseOfNaN?:
            evaluator.inform(
                "input to histogram_quantile has NaN observations, result is NaN\(nameText(labels))", at: span)
        case .isSkewedByNaN?:
            evaluator.inform(
                "input to histogram_quantile has NaN observations, result is skewed higher\(nameText(labels))", at: span
            )
        case nil: break
        }
    }

    /// One column per histogram. Where a classic and a native one of the same labels meet, neither has an answer.
    private func answers(
        native answerNative: (NativeHistogram, Int, Labels) -> Double,
        classic answerClassic: (inout ClassicHistogram, Int, Labels) -> Double
    ) throws -> [SeriesColumn] {
        var result: [SeriesColumn] = []
        var conflicts: [Labels: Set<Int>] = [:]
        let classicPlaces = Dictionary(classic.enumerated().map { ($1.labels, $0) }) { first, _ in first }
        for column in native {
            try evaluator.context.check()
            var answer = SeriesColumn(labels: column.labels, count: evaluator.times.count)
            answer.dropsName = true
            for step in column.histograms.indices {
                guard let histogram = column.histograms[step] else { continue }
                if let place = classicPlaces[column.labels], classic[place].histogram(at: step) != nil {
                    conflicts[column.labels, default: []].insert(step)
                    evaluator.warn(
                        "vector contains a mix of classic and native histograms\(nameText(column.labels))", at: span)
                    continue
                }
                answer.values[step] = answerNative(histogram, step, column.labels)
            }
            if !answer.isEmpty { result.append(answer) }
        }
        for buckets in classic {
            try evaluator.context.check()
            var answer = SeriesColumn(labels: buckets.labels, count: evaluator.times.count)
            answer.dropsName = true
            for step in 0..<evaluator.times.count where conflicts[buckets.labels]?.contains(step) != true {
                guard var histogram = buckets.histogram(at: step) else { continue }
                answer.values[step] = answerClassic(&histogram, step, buckets.labels)
            }
            if !answer.isEmpty { result.append(answer) }
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

    mutating func add(_ found: ClassicHistogram.Repair, at time: Int64) {
        if count == 0 { firstTime = time }
        lastTime = time
        count += 1
        repair = ClassicHistogram.Repair(
            lowestBound: min(repair?.lowestBound ?? .infinity, found.lowestBound),
            highestBound: max(repair?.highestBound ?? -.infinity, found.highestBound),
            largestDifference: max(repair?.largestDifference ?? 0, found.largestDifference))
    }

    func inform(_ evaluator: Evaluator, _ name: String, at span: SourceSpan) {
        guard let repair else { return }
        let difference = FloatText.formatted(repair.largestDifference, verb: "g", precision: 2)
        let bounds = "\(FloatText.general(repair.lowestBound)) to \(FloatText.general(repair.highestBound))"
        let times = "\(Timestamps.rfc3339(milliseconds: firstTime)) to \(Timestamps.rfc3339(milliseconds: lastTime))"
        evaluator.inform(
            "input to histogram_quantile needed to be fixed for monotonicity "
                + "(see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)"
                + "\(name), from buckets \(bounds), with a max diff of "
                + "\(difference), over \(count) samples from \(times)", at: span)
    }
}
