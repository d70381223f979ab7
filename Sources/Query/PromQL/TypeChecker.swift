internal import Telemetry

/// Refuses expressions whose parts do not fit together, in Prometheus' words, and settles how vectors match.
struct TypeChecker {
    let bytes: [UInt8]

    /// The expression with its vector matchings settled.
    func checked(_ expression: Expression) throws(QueryError) -> Expression {
        switch expression {
        case .number, .string, .logs: return expression
        case .vector(let selector):
            try check(selector)
            return expression
        case .matrix(let matrix):
            try check(matrix.selector)
            return expression
        case .parenthesis(var node):
            node.inner = try checked(node.inner)
            return .parenthesis(node)
        case .unary(var node):
            node.operand = try checked(node.operand)
            let type = node.operand.type
            guard type == .scalar || type == .vector else {
                throw failure(
                    "unary expression only allowed on expressions of type scalar or instant vector, got "
                        + GoText.quoted(type.documentedName), at: node.span)
            }
            return .unary(node)
        case .subquery(var node):
            node.inner = try checked(node.inner)
            guard node.inner.type == .vector else {
                throw failure(
                    "subquery is only allowed on instant vector, got \(node.inner.type.rawValue) instead",
                    at: node.span)
            }
            return .subquery(node)
        case .aggregation(let node): return .aggregation(try checked(node))
        case .binary(let node): return .binary(try checked(node))
        case .call(let node): return .call(try checked(node))
        }
    }

    private func failure(_ message: String, at span: SourceSpan) -> QueryError {
        let place = SourceSpan.place(of: span.start, in: bytes)
        return QueryError(.parse, message, line: place.line, column: place.column)
    }

    private func check(_ selector: VectorSelector) throws(QueryError) {
        if selector.name.isEmpty {
            guard selector.matchers.contains(where: { !$0.matchesAbsence }) else {
                throw failure("vector selector must contain at least one non-empty matcher", at: selector.span)
            }
            return
        }
        for matcher in selector.matchers.dropLast() where matcher.name == "__name__" {
            throw failure(
                "metric name must not be set twice: \(GoText.quoted(selector.name)) or "
                    + GoText.quoted(matcher.value), at: selector.span)
        }
    }

    private func expect(
        _ expression: Expression, _ type: ValueType, in place: String
    ) throws(QueryError) -> Expression {
        let result = try checked(expression)
        guard result.type == type else {
            throw failure(
                "expected type \(type.documentedName) in \(place), got \(result.type.documentedName)",
                at: expression.span)
        }
        return result
    }

    private func checked(_ node: Aggregation) throws(QueryError) -> Aggregation {
        var node = node
        node.operand = try expect(node.operand, .vector, in: "aggregation expression")
        if let parameter = node.parameter {
            let type: ValueType = node.operation == .countValues ? .string : .scalar
            node.parameter = try expect(parameter, type, in: "aggregation parameter")
        }
        return node
    }

    // MARK: Calls

    private func checked(_ node: Call) throws(QueryError) -> Call {
        var node = node
        let function = node.function
        let types = function.argumentTypes
        let name = GoText.quoted(function.name)
        let count = node.arguments.count
        if function.variadic == 0 {
            guard types.count == count else {
                throw failure("expected \(types.count) argument(s) in call to \(name), got \(count)", at: node.span)
            }
        } else if count < types.count - 1 {
            throw failure(
                "expected at least \(types.count - 1) argument(s) in call to \(name), got \(count)", at: node.span)
        } else if function.variadic > 0, count > types.count - 1 + function.variadic {
            let most = types.count - 1 + function.variadic
            throw failure("expected at most \(most) argument(s) in call to \(name), got \(count)", at: node.span)
        }
        for (index, argument) in node.arguments.enumerated() {
            let type = types[min(index, types.count - 1)]
            if function.takesBareSelector, index == 1 {
                try checkBareSelector(argument, name: name, span: node.span)
                continue
            }
            node.arguments[index] = try expect(argument, type, in: "call to function \(name)")
        }
        return node
    }

    /// The second argument of `info` selects labels: no metric name, and it may match everything.
    private func checkBareSelector(_ argument: Expression, name: String, span: SourceSpan) throws(QueryError) {
        guard argument.type == .vector else {
            throw failure(
                "expected type instant vector in call to function \(name), got \(argument.type.documentedName)",
                at: span)
        }
        guard case .vector(let selector) = argument else {
            throw failure("expected label selectors only", at: argument.span)
        }
        guard selector.name.isEmpty else {
            throw failure("expected label selectors only, got vector selector instead", at: argument.span)
        }
    }

    // MARK: Binary operations

    private func checked(_ node: BinaryExpression) throws(QueryError) -> BinaryExpression {
        var node = node
        node.left = try checked(node.left)
        node.right = try checked(node.right)
        let leftType = node.left.type
        let rightType = node.right.type
        if node.returnsBool, !node.operation.isComparison {
            throw failure(
                "bool modifier can only be used on comparison operators", at: operatorSpan(node))
        }
        if node.operation.isComparison, !node.returnsBool, leftType == .scalar, rightType == .scalar {
            throw failure("comparisons between scalars must use BOOL modifier", at: operatorSpan(node))
        }
        var matching = node.matching ?? VectorMatching()
        if node.operation.isSetOperation, matching.cardinality == .oneToOne { matching.cardinality = .manyToMany }
        for label in matching.labels where matching.isOn && matching.included.contains(label) {
            throw failure(
                "label \(GoText.quoted(label)) must not occur in ON and GROUP clause at once",
                at: operatorSpan(node))
        }
        for side in [node.left, node.right] where side.type != .scalar && side.type != .vector {
            throw failure(
                "binary expression must contain only scalar and instant vector types", at: side.span)
        }
        try checkMatching(matching, of: node)
        node.matching = leftType == .vector && rightType == .vector ? matching : nil
        return node
    }

    private func checkMatching(_ matching: VectorMatching, of node: BinaryExpression) throws(QueryError) {
        let span = node.left.span.through(node.right.span)
        let hasFill = matching.fillLeft != nil || matching.fillRight != nil
        let operation = node.operation
        if node.left.type != .vector || node.right.type != .vector {
            if !matching.labels.isEmpty {
                throw failure("vector matching only allowed between instant vectors", at: span)
            }
            if hasFill {
                throw failure("filling in missing series only allowed between instant vectors", at: span)
            }
        } else if operation.isSetOperation {
            if matching.cardinality != .manyToMany {
                throw failure("no grouping allowed for \(GoText.quoted(operation.rawValue)) operation", at: span)
            }
            if hasFill { throw failure("filling in missing series not allowed for set operators", at: span) }
        }
        if node.left.type == .scalar || node.right.type == .scalar, operation.isSetOperation {
            throw failure(
                "set operator \(GoText.quoted(operation.rawValue)) not allowed in binary scalar expression", at: span)
        }
    }

    /// Where the operator itself stands, without the spaces around it.
    private func operatorSpan(_ node: BinaryExpression) -> SourceSpan {
        var start = node.left.span.end
        while start < bytes.count, bytes[start].isSpace { start += 1 }
        return SourceSpan(start: start, end: node.right.span.start)
    }
}
