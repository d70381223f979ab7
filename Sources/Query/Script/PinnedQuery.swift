/// Rewrites a query so that it has the same answer whenever it is evaluated.
enum PinnedQuery {
    /// `query` with `@ <time>` on every selector and outermost sub-query that has none; nil where that does not pin it.
    static func text(_ query: String, at time: Int64) throws(QueryError) -> String? {
        let expression = try PromQLParser.expression(query)
        return hasUnpinnedFunction(expression) ? nil : pinned(expression, time).description
    }

    /// Whether the query asks for its own start, end, range or step.
    static func dependsOnBounds(_ query: String) -> Bool {
        ["start()", "end()", "range()", "step()"].contains { query.contains($0) }
    }

    private static func hasUnpinnedFunction(_ expression: Expression) -> Bool {
        if case .logs = expression { return true }
        if case .call(let call) = expression, call.function.dependsOnTime || call.function.readsBounds { return true }
        // As upstream: what is inside a pinned sub-query is left alone.
        if case .subquery(let subquery) = expression, subquery.modifiers.at != nil { return false }
        return expression.children.contains(where: hasUnpinnedFunction)
    }

    private static func pinned(_ expression: Expression, _ time: Int64) -> Expression {
        switch expression {
        case .number, .string, .logs: return expression
        case .vector(var node):
            node.modifiers.at = node.modifiers.at ?? .milliseconds(time)
            return .vector(node)
        case .matrix(var node):
            node.selector.modifiers.at = node.selector.modifiers.at ?? .milliseconds(time)
            return .matrix(node)
        case .subquery(var node):
            node.modifiers.at = node.modifiers.at ?? .milliseconds(time)
            return .subquery(node)
        case .parenthesis(var node):
            node.inner = pinned(node.inner, time)
            return .parenthesis(node)
        case .unary(var node):
            node.operand = pinned(node.operand, time)
            return .unary(node)
        case .binary(var node):
            node.left = pinned(node.left, time)
            node.right = pinned(node.right, time)
            return .binary(node)
        case .aggregation(var node):
            node.operand = pinned(node.operand, time)
            node.parameter = node.parameter.map { pinned($0, time) }
            return .aggregation(node)
        case .call(var node):
            node.arguments = node.arguments.map { pinned($0, time) }
            return .call(node)
        }
    }
}

extension Function {
    /// Whether it is one of `start()`, `end()`, `range()`, `step()`.
    var readsBounds: Bool {
        guard case .queryBounds = code else { return false }
        return name != "pi"
    }
}
