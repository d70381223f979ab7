package import Telemetry

/// LogQL over the log store. Blocking, and with the errors of the PromQL side.
extension Engine {
    /// Reads LogQL without evaluating it; `description` is the canonical text. With `allowsEverything` its selector may
    /// be `{}`.
    package static func parseLogs(
        _ query: String, allowsEverything: Bool = false
    ) throws(QueryError) -> LogQLExpression {
        try LogQLParser.expression(query, allowsEverything: allowsEverything)
    }

    /// Reads a stream selector such as the API's `match[]`.
    package static func logMatchers(_ selector: String) throws(QueryError) -> [LabelMatcher] {
        try LogQLParser.selector(selector)
    }

    /// Reads the stream selector of a log query, whatever stages follow it.
    package static func streamMatchers(_ query: String) throws(QueryError) -> [LabelMatcher] {
        guard case .lines(let pipeline) = try LogQLParser.expression(query) else {
            throw QueryError(.parse, "a stream selector is needed here, like {app=\"web\"}", line: 1, column: 1)
        }
        return pipeline.matchers
    }

    /// Reads line filters such as `|= "a" != "b"` as the predicates of the port, all of which must hold.
    package static func linePredicates(_ filters: String) throws(QueryError) -> [LinePredicate] {
        guard case .lines(let pipeline) = try LogQLParser.expression("{a=\"a\"} \(filters)") else { return [] }
        return pipeline.stages.flatMap { ($0 as? LineFilterStage)?.predicates ?? [] }
    }

    /// Evaluates a metric query at one time. Log queries have no value at one time and are refused, as Loki does.
    package func logInstant(
        _ query: String, atNanoseconds time: Int64, limit: Int, direction: LogDirection,
        allowsEverything: Bool = false, in context: QueryContext
    ) throws -> QueryValue {
        let expression = try LogQLParser.expression(query, allowsEverything: allowsEverything)
        guard expression.isMetric else {
            throw QueryError(
                .parameters,
                "log queries are not supported as an instant query type, please change your query to a range query type"
            )
        }
        let milliseconds = time / 1_000_000
        let evaluator = try logEvaluator(
            StepTimes(at: milliseconds), remainderNanoseconds: time - milliseconds * 1_000_000, context)
        switch try evaluator.evaluate(expression) {
        case .scalar(let values): return .scalar(Sample(milliseconds: milliseconds, value: values[0]))
        case .string(let text): return .string(text, milliseconds: milliseconds)
        case .vector(let columns):
            let ordered = expression.isSorted ? columns : columns.sorted { $0.labels < $1.labels }
            return .vector(
                ordered.compactMap { column in
                    guard column.hasNumber(at: 0) else { return nil }
                    return SeriesPoint(labels: column.labels, milliseconds: milliseconds, value: column.values[0])
                })
        }
    }

    /// Lines of a log query, at most `limit` of them (0: all); or a metric query at `start`, `start + step`, ….
    package func logRange(
        _ query: String, range: LogTimeRange, stepMilliseconds: Int64, limit: Int, direction: LogDirection,
        allowsEverything: Bool = false, in context: QueryContext
    ) throws -> QueryValue {
        let expression = try LogQLParser.expression(query, allowsEverything: allowsEverything)
        let start = range.startNanoseconds / 1_000_000
        if case .lines(let pipeline) = expression {
            let evaluator = try logEvaluator(StepTimes(at: start), context)
            return .streams(try evaluator.lines(pipeline, range: range, limit: limit, direction: direction))
        }
        let times = try checkedTimes(start: start, end: range.endNanoseconds / 1_000_000, step: stepMilliseconds)
        switch try logEvaluator(times, remainderNanoseconds: range.startNanoseconds - start * 1_000_000, context)
            .evaluate(expression)
        {
        case .scalar(let values):
            let milliseconds = (0..<times.count).map { times[$0] }
            return .matrix([SeriesPoints(labels: .empty, timesMilliseconds: milliseconds, values: values)])
        case .string(let text): return .string(text, milliseconds: start)
        case .vector(let columns):
            return .matrix(try PointsAnswer(times: times, context: context).ordered(columns))
        }
    }

    private func logEvaluator(
        _ times: StepTimes, remainderNanoseconds: Int64 = 0, _ context: QueryContext
    ) throws(QueryError) -> LogEvaluator {
        guard let logs else { throw QueryError(.execution, "there is no log store here") }
        return LogEvaluator(source: logs, context: context, times: times, remainderNanoseconds: remainderNanoseconds)
    }
}
