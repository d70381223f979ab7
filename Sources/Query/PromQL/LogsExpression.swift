/// `logs(rate({app="a"} |= "error" [5m]))`: a metric query of LogQL as an instant vector. What stands in the
/// parentheses is read by LogQL's rules.
package struct LogsExpression: Hashable, Sendable {
    package var query: LogQLExpression
    package var span: SourceSpan

    /// A query over the log store.
    package init(query: LogQLExpression, span: SourceSpan = .none) {
        self.query = query
        self.span = span
    }

    /// Trees with the same canonical text mean the same.
    package static func == (left: LogsExpression, right: LogsExpression) -> Bool {
        left.query.description == right.query.description
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(query.description) }
}
