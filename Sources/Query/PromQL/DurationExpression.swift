/// A length of time in a query: known when it is read, or computed from the query's step and range.
package enum DurationValue: Hashable, Sendable {
    case milliseconds(Int64)
    /// The span is that of the whole expression, for errors that show only when it is computed.
    case expression(DurationExpression, SourceSpan)
}

/// Arithmetic on durations between brackets or behind `offset`. Numbers are seconds.
package indirect enum DurationExpression: Hashable, Sendable {
    case literal(NumberLiteral)
    /// `step()`: the distance between evaluations.
    case step
    /// `range()`: from the first evaluation to the last.
    case range
    case negated(DurationExpression)
    case binary(BinaryOperator, DurationExpression, DurationExpression)
    case minimum(DurationExpression, DurationExpression)
    case maximum(DurationExpression, DurationExpression)
    case parenthesis(DurationExpression)

    /// Seconds of a plain number, nil for everything else.
    var literal: NumberLiteral? {
        if case .literal(let number) = self { return number }
        return nil
    }

    /// Seconds, given the step and range of the query in seconds. Division by zero is an error of the query.
    func seconds(step: Double, range: Double) throws(QueryError) -> Double {
        switch self {
        case .literal(let number): return number.value
        case .step: return step
        case .range: return range
        case .negated(let inner): return -(try inner.seconds(step: step, range: range))
        case .parenthesis(let inner): return try inner.seconds(step: step, range: range)
        case .minimum(let left, let right):
            return Swift.min(try left.seconds(step: step, range: range), try right.seconds(step: step, range: range))
        case .maximum(let left, let right):
            return Swift.max(try left.seconds(step: step, range: range), try right.seconds(step: step, range: range))
        case .binary(let operation, let left, let right):
            let a = try left.seconds(step: step, range: range)
            let b = try right.seconds(step: step, range: range)
            if b == 0, operation == .divide { throw QueryError(.execution, "division by zero") }
            if b == 0, operation == .modulo { throw QueryError(.execution, "modulo by zero") }
            return Arithmetic.apply(operation, a, b)
        }
    }
}
