/// The times a query runs over, as `start()`, `end()`, `step()` and `range()` see them.
struct QueryBounds: Sendable {
    var startMilliseconds: Int64
    var endMilliseconds: Int64
    /// 0 for an instant query.
    var stepMilliseconds: Int64

    var stepSeconds: Double { Double(stepMilliseconds) / 1000 }
    var rangeSeconds: Double { Double(endMilliseconds - startMilliseconds) / 1000 }
}

/// Replaces what depends only on the query's own times by numbers: duration expressions, `@ start()`, `step()`.
struct QueryPreparation {
    let bounds: QueryBounds

    /// The expression with every duration in milliseconds and every `@` at a fixed time.
    func prepared(_ expression: Expression) throws(QueryError) -> Expression {
        switch expression {
        case .number, .string, .logs: return expression
        case .vector(let selector): return .vector(try prepared(selector))
        case .matrix(var node):
            node.selector = try prepared(node.selector)
            node.range = .milliseconds(try milliseconds(node.range, mayBeNegative: false))
            return .matrix(node)
        case .subquery(var node):
            node.inner = try prepared(node.inner)
            node.modifiers = try prepared(node.modifiers)
            if let step = node.step { node.step = .milliseconds(try milliseconds(step, mayBeNegative: false)) }
            node.range = .milliseconds(try milliseconds(node.range, mayBeNegative: false))
            return .subquery(node)
        case .call(var node):
            if let value = value(of: node.function) {
                return .number(NumberLiteral(value, span: node.span))
            }
            for index in node.arguments.indices {
                node.arguments[index] = try prepared(node.arguments[index].unwrapped)
            }
            return .call(node)
        case .aggregation(var node):
            node.operand = try prepared(node.operand.unwrapped)
            if let parameter = node.parameter { node.parameter = try prepared(parameter.unwrapped) }
            return .aggregation(node)
        case .binary(var node):
            node.left = try prepared(node.left)
            node.right = try prepared(node.right)
            return .binary(node)
        case .unary(var node):
            node.operand = try prepared(node.operand)
            return .unary(node)
        case .parenthesis(var node):
            node.inner = try prepared(node.inner)
            return .parenthesis(node)
        }
    }

    private func value(of function: Function) -> Double? {
        guard case .queryBounds(let value) = function.code else { return nil }
        return value(bounds)
    }

    private func prepared(_ selector: VectorSelector) throws(QueryError) -> VectorSelector {
        var selector = selector
        selector.modifiers = try prepared(selector.modifiers)
        return selector
    }

    private func prepared(_ modifiers: TimeModifiers) throws(QueryError) -> TimeModifiers {
        var modifiers = modifiers
        if let offset = modifiers.offset {
            modifiers.offset = .milliseconds(try milliseconds(offset, mayBeNegative: true))
        }
        switch modifiers.at {
        case .start?: modifiers.at = .milliseconds(bounds.startMilliseconds)
        case .end?: modifiers.at = .milliseconds(bounds.endMilliseconds)
        case .milliseconds?, nil: break
        }
        return modifiers
    }

    private func milliseconds(_ duration: DurationValue, mayBeNegative: Bool) throws(QueryError) -> Int64 {
        switch duration {
        case .milliseconds(let value): return value
        case .expression(let expression, let span):
            let place = "\(span.start):\(span.end): "
            let seconds: Double
            do throws(QueryError) {
                seconds = try expression.seconds(step: bounds.stepSeconds, range: bounds.rangeSeconds)
            } catch {
                throw QueryError(.parameters, place + error.message)
            }
            guard seconds.isFinite else { throw QueryError(.parameters, place + "duration is NaN or infinite") }
            guard seconds > 0 || mayBeNegative else {
                throw QueryError(.parameters, place + "duration must be greater than 0")
            }
            guard abs(seconds) <= 0x1p63 / 1e9 else {
                throw QueryError(.parameters, place + "duration is out of range")
            }
            return Int64(seconds * 1000)
        }
    }
}

extension TimeModifiers {
    /// The offset of prepared modifiers.
    var offsetMilliseconds: Int64 {
        if case .milliseconds(let offset)? = offset { return offset }
        return 0
    }

    /// The fixed time of prepared modifiers.
    var atMilliseconds: Int64? {
        if case .milliseconds(let time)? = at { return time }
        return nil
    }
}

extension DurationValue {
    /// The length of a prepared duration.
    var preparedMilliseconds: Int64 {
        if case .milliseconds(let length) = self { return length }
        return 0
    }
}
