internal import Telemetry

/// The bridge from PromQL to LogQL.
extension Evaluator {
    /// The value of a LogQL query at every step; a number in it is one element without labels.
    func logs(_ node: LogsExpression) throws -> Evaluated {
        guard let logSource else { throw QueryError(.execution, "logs() needs a log store, and there is none here") }
        let value = try LogEvaluator(source: logSource, context: context, times: times).evaluate(node.query)
        guard case .scalar(let values) = value else { return value }
        return .vector([SeriesColumn(labels: .empty, values: values)])
    }
}
