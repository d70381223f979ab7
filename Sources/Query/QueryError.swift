/// Why a query has no answer: what is wrong and, for text that cannot be read, where.
///
/// Ends of queries that are not the query's fault (cancelled, out of time, over budget) are `QueryInterruption`.
package struct QueryError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Who has to do something about it, which decides the HTTP status and Prometheus' `errorType`.
    package enum Kind: String, Hashable, Sendable {
        /// The text is not an expression: 400 `bad_data`.
        case parse
        /// The parameters around it (step, range, time) cannot be used: 400 `bad_data`.
        case parameters
        /// The expression is fine and its evaluation failed on the data: 422 `execution`.
        case execution
        /// A line failed in the pipeline of a log query that does not say what to make of it: 400 `bad_data`, as Loki.
        case pipeline
        /// The language has it and this engine does not evaluate it: 422 `execution`.
        case notSupported
    }

    package var kind: Kind
    /// What is wrong, in Prometheus' words, without the place.
    package var message: String
    /// The place in the query, from 1; 0 where the error has none.
    package var line: Int
    /// The column in bytes, from 1; 0 where the error has none.
    package var column: Int

    /// An error at a place, or without one.
    package init(_ kind: Kind, _ message: String, line: Int = 0, column: Int = 0) {
        self.kind = kind
        self.message = message
        self.line = line
        self.column = column
    }

    /// "1:5: parse error: unexpected end of input", "not yet supported: info at 1:5", or the message alone.
    package var description: String {
        switch kind {
        case .parse:
            line == 0 ? "unknown position: parse error: \(message)" : "\(line):\(column): parse error: \(message)"
        case .notSupported: "not yet supported: \(message) at \(line):\(column)"
        case .parameters, .execution, .pipeline: message
        }
    }
}
