package import Telemetry

/// Answers queries: reads the text, evaluates it over the stores behind the ports, and says what it looked at.
///
/// All methods block on disk: call them on a query thread. An engine is a value and may be shared.
/// Errors are `QueryError`, `QueryInterruption` (cancelled, out of time, over budget), or what a store throws.
package struct Engine: Sendable {
    /// What does not change from query to query.
    package struct Options: Sendable {
        /// How far back an instant selector looks for a sample.
        package var lookbackMilliseconds: Int64
        /// The step of a sub-query that names none.
        package var subqueryStepMilliseconds: Int64
        /// The most steps of a range query, as Prometheus' API allows.
        package var stepsMaximum: Int
        /// Whether a sample's start timestamp tells of counter resets that values do not show.
        package var usesStartTimestamps: Bool

        /// Options; the defaults are Prometheus'.
        package init(
            lookbackMilliseconds: Int64 = 300_000, subqueryStepMilliseconds: Int64 = 60_000,
            stepsMaximum: Int = 11_000, usesStartTimestamps: Bool = true
        ) {
            self.lookbackMilliseconds = lookbackMilliseconds
            self.subqueryStepMilliseconds = subqueryStepMilliseconds
            self.stepsMaximum = stepsMaximum
            self.usesStartTimestamps = usesStartTimestamps
        }
    }

    private let series: any SeriesSource
    let logs: (any LogSource)?
    private let options: Options
    /// Filled with how the next query is evaluated; an engine that carries one is for that query alone.
    package var profile: QueryProfile?

    /// An engine over a metric store and, for LogQL, a log store.
    package init(series: any SeriesSource, logs: (any LogSource)? = nil, options: Options = Options()) {
        self.series = series
        self.logs = logs
        self.options = options
    }

    /// Reads and type-checks PromQL without evaluating it: `format_query`, `parse_query`, rule files.
    /// The expression's `description` is its canonical text. Where other tools must be able to read the expression,
    /// as in Prometheus' rule files, `logs(…)` is not allowed.
    package static func parse(_ query: String, allowsLogs: Bool = true) throws(QueryError) -> Expression {
        let expression = try PromQLParser.expression(query)
        if !allowsLogs, let logs = expression.firstLogs {
            let place = SourceSpan.place(of: logs.span.start, in: Array(query.utf8))
            throw QueryError(
                .parse, "logs(…) is not PromQL that other tools read: put the rule into a *.vedette.yml file",
                line: place.line, column: place.column)
        }
        return expression
    }

    /// Reads a series selector such as the API's `match[]`: a name, label matchers, or both.
    package static func matchers(_ selector: String) throws(QueryError) -> [LabelMatcher] {
        try PromQLParser.selector(selector).matchers
    }

    /// The matchers of every selector in a query: which series can change its answer.
    package static func selectors(in query: String) throws(QueryError) -> [[LabelMatcher]] {
        var all: [[LabelMatcher]] = []
        try PromQLParser.expression(query).forEachSelector { all.append($0.matchers) }
        return all
    }

    /// Evaluates PromQL at one time.
    package func instant(
        _ query: String, atMilliseconds time: Int64, in context: QueryContext
    ) throws -> QueryValue {
        let begun = context.nowNanoseconds
        let expression = try PromQLParser.expression(query)
        let bounds = QueryBounds(startMilliseconds: time, endMilliseconds: time, stepMilliseconds: 0)
        let prepared = try QueryPreparation(bounds: bounds).prepared(expression)
        let evaluator = self.evaluator(query, StepTimes(at: time), context, begunNanoseconds: begun)
        if expression.type == .matrix { return .matrix(try evaluator.points(of: prepared)) }
        switch try evaluator.evaluate(prepared) {
        case .scalar(let values): return .scalar(Sample(milliseconds: time, value: values[0]))
        case .string(let text): return .string(text, milliseconds: time)
        case .vector(let columns):
            try context.reserve(columns.count * MemoryLayout<SeriesPoint>.stride)
            return .vector(
                try MergedColumns.finished(columns).compactMap { column in
                    guard column.isPresent(at: 0) else { return nil }
                    return SeriesPoint(
                        labels: column.labels, milliseconds: time, value: column.values[0],
                        histogram: column.histogram(at: 0))
                })
        }
    }

    /// Evaluates PromQL at `start`, `start + step`, … up to `end`.
    package func range(
        _ query: String, startMilliseconds start: Int64, endMilliseconds end: Int64, stepMilliseconds step: Int64,
        in context: QueryContext
    ) throws -> QueryValue {
        let begun = context.nowNanoseconds
        let times = try checkedTimes(start: start, end: end, step: step)
        let expression = try PromQLParser.expression(query)
        guard expression.type == .vector || expression.type == .scalar else {
            throw QueryError(
                .parameters,
                "invalid expression type \(GoText.quoted(expression.type.documentedName)) for range query, "
                    + "must be Scalar or instant Vector")
        }
        let bounds = QueryBounds(startMilliseconds: start, endMilliseconds: end, stepMilliseconds: step)
        let prepared = try QueryPreparation(bounds: bounds).prepared(expression)
        switch try evaluator(query, times, context, begunNanoseconds: begun).evaluate(prepared) {
        case .scalar(let values):
            let points = SeriesPoints(
                labels: .empty, timesMilliseconds: (0..<times.count).map { times[$0] }, values: values)
            return .matrix([points])
        case .string(let text): return .string(text, milliseconds: start)
        case .vector(let columns):
            let evaluated = context.nowNanoseconds
            defer { profile?.end(result: context.nowNanoseconds - evaluated) }
            return .matrix(try PointsAnswer(times: times, context: context).series(columns))
        }
    }

    /// Refuses ranges that `range` would refuse, before anything is read.
    package func checkSteps(start: Int64, end: Int64, step: Int64) throws(QueryError) {
        _ = try checkedTimes(start: start, end: end, step: step)
    }

    func checkedTimes(start: Int64, end: Int64, step: Int64) throws(QueryError) -> StepTimes {
        guard step > 0 else {
            throw QueryError(
                .parameters,
                "zero or negative query resolution step widths are not accepted. Try a positive integer")
        }
        guard end >= start else { throw QueryError(.parameters, "end timestamp must not be before start time") }
        let (length, isTooLong) = end.subtractingReportingOverflow(start)
        // Prometheus compares the number of intervals, so that one point more than the limit fits.
        guard !isTooLong, length / step <= options.stepsMaximum else {
            throw QueryError(
                .parameters,
                "exceeded maximum resolution of \(GoText.thousands(options.stepsMaximum)) points per timeseries. "
                    + "Try decreasing the query resolution (?step=XX)")
        }
        return StepTimes(start: start, end: end, step: step)
    }

    private func evaluator(
        _ query: String, _ times: StepTimes, _ context: QueryContext, begunNanoseconds: Int64
    ) -> Evaluator {
        var evaluator = Evaluator(
            source: series, logSource: logs, options: options, context: context, text: Array(query.utf8), times: times)
        evaluator.profile = profile
        evaluator.stepSamples = profile?.begin(preparation: context.nowNanoseconds - begunNanoseconds, times: times)
        return evaluator
    }
}

/// Turns the columns of an answer into points, ordered by labels.
struct PointsAnswer {
    let times: StepTimes
    let context: QueryContext

    /// The columns with names dropped and equal labels merged.
    func series(_ columns: [SeriesColumn]) throws -> [SeriesPoints] {
        try ordered(MergedColumns.finished(columns))
    }

    /// The columns as they are.
    func ordered(_ columns: consuming [SeriesColumn]) throws -> [SeriesPoints] {
        var columns = columns
        if !MergedColumns.areOrdered(columns) { columns.sort { $0.labels < $1.labels } }
        let allTimes = (0..<times.count).map { times[$0] }
        var result: [SeriesPoints] = []
        result.reserveCapacity(columns.count)
        for column in columns {
            try context.check()
            let count = column.values.count { !SeriesColumn.isAbsent($0) }
            if count == column.values.count {
                // Most series have a value at every step: they share the times, and the values are those of the column.
                result.append(SeriesPoints(labels: column.labels, timesMilliseconds: allTimes, values: column.values))
                continue
            }
            guard count > 0 || !column.histograms.isEmpty else { continue }
            try context.reserve(count * 16)
            let points = column.points(at: times, count: count)
            if !points.isEmpty { result.append(points) }
        }
        return result
    }
}

extension SeriesColumn {
    /// The column as points, `count` of them numbers, without the steps that have no value.
    func points(at times: StepTimes, count: Int) -> SeriesPoints {
        var points = SeriesPoints(labels: labels)
        points.timesMilliseconds.reserveCapacity(count)
        points.values.reserveCapacity(count)
        for step in values.indices {
            if hasNumber(at: step) {
                points.timesMilliseconds.append(times[step])
                points.values.append(values[step])
            } else if let histogram = histogram(at: step) {
                points.histogramTimesMilliseconds.append(times[step])
                points.histograms.append(histogram)
            }
        }
        return points
    }
}

extension SeriesPoints {
    var isEmpty: Bool { timesMilliseconds.isEmpty && histogramTimesMilliseconds.isEmpty }
}
