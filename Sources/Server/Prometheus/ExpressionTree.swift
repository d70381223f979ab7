internal import Query
internal import Telemetry

/// The answer of `/api/v1/parse_query`: an expression as the tree that Prometheus' query page draws. Keys stand in
/// alphabetical order, as Go writes maps.
enum ExpressionTree {
    /// Writes one expression.
    static func write(_ expression: Expression, to writer: inout JSONWriter) {
        writer.beginObject()
        switch expression {
        case .number(let node):
            writer.member("type", "numberLiteral")
            writer.member("val", FloatText.plain(node.value))
        case .string(let node):
            writer.member("type", "stringLiteral")
            writer.member("val", node.value)
        case .parenthesis(let node):
            member("expr", node.inner, &writer)
            writer.member("type", "parenExpr")
        case .unary(let node):
            member("expr", node.operand, &writer)
            writer.member("op", node.isNegation ? "-" : "+")
            writer.member("type", "unaryExpr")
        case .vector(let node): write(node, range: nil, to: &writer)
        case .matrix(let node): write(node.selector, range: node.range, to: &writer)
        case .subquery(let node): write(node, to: &writer)
        case .call(let node): write(node, to: &writer)
        case .aggregation(let node): write(node, to: &writer)
        case .binary(let node): write(node, to: &writer)
        case .logs(let node):
            writer.member("query", node.query.description)
            writer.member("type", "logs")
        }
        writer.endObject()
    }

    private static func member(_ key: String, _ expression: Expression?, _ writer: inout JSONWriter) {
        writer.key(key)
        if let expression { write(expression, to: &writer) } else { writer.null() }
    }

    private static func member(_ key: String, _ texts: [String], _ writer: inout JSONWriter) {
        writer.key(key)
        writer.beginArray()
        for text in texts { writer.string(text) }
        writer.endArray()
    }

    // MARK: Nodes

    private static func write(_ node: VectorSelector, range: DurationValue?, to writer: inout JSONWriter) {
        writer.member("anchored", node.extent == .anchored)
        writer.key("matchers")
        writer.beginArray()
        for matcher in node.matchers {
            writer.beginObject()
            writer.member("name", matcher.name)
            writer.member("type", matcher.operation.rawValue)
            writer.member("value", matcher.value)
            writer.endObject()
        }
        writer.endArray()
        writer.member("name", node.name)
        duration("offset", node.modifiers.offset, &writer)
        if let range { duration("range", range, &writer) }
        writer.member("smoothed", node.extent == .smoothed)
        startOrEnd(node.modifiers, &writer)
        timestamp(node.modifiers, &writer)
        writer.member("type", range == nil ? "vectorSelector" : "matrixSelector")
    }

    private static func write(_ node: Subquery, to writer: inout JSONWriter) {
        member("expr", node.inner, &writer)
        duration("offset", node.modifiers.offset, &writer)
        duration("range", node.range, &writer)
        startOrEnd(node.modifiers, &writer)
        duration("step", node.step, &writer)
        timestamp(node.modifiers, &writer)
        writer.member("type", "subquery")
    }

    private static func write(_ node: Call, to writer: inout JSONWriter) {
        writer.key("args")
        writer.beginArray()
        for argument in node.arguments { write(argument, to: &writer) }
        writer.endArray()
        writer.key("func")
        writer.beginObject()
        member("argTypes", node.function.argumentTypes.map(\.rawValue), &writer)
        writer.member("name", node.function.name)
        writer.member("returnType", node.function.returnType.rawValue)
        writer.member("variadic", node.function.variadic)
        writer.endObject()
        writer.member("type", "call")
    }

    private static func write(_ node: Aggregation, to writer: inout JSONWriter) {
        member("expr", node.operand, &writer)
        member("grouping", node.grouping, &writer)
        writer.member("op", node.operation.rawValue)
        member("param", node.parameter, &writer)
        writer.member("type", "aggregation")
        writer.member("without", node.isWithout)
    }

    private static func write(_ node: BinaryExpression, to writer: inout JSONWriter) {
        writer.member("bool", node.returnsBool)
        member("lhs", node.left, &writer)
        writer.key("matching")
        if let matching = node.matching { write(matching, to: &writer) } else { writer.null() }
        writer.member("op", node.operation.rawValue)
        member("rhs", node.right, &writer)
        writer.member("type", "binaryExpr")
    }

    private static func write(_ matching: VectorMatching, to writer: inout JSONWriter) {
        writer.beginObject()
        let cardinality =
            switch matching.cardinality {
            case .oneToOne: "one-to-one"
            case .manyToOne: "many-to-one"
            case .oneToMany: "one-to-many"
            case .manyToMany: "many-to-many"
            }
        writer.member("card", cardinality)
        writer.key("fillValues")
        writer.beginObject()
        for (side, value) in [("lhs", matching.fillLeft), ("rhs", matching.fillRight)] {
            writer.key(side)
            if let value { writer.number(value) } else { writer.null() }
        }
        writer.endObject()
        member("include", matching.included, &writer)
        member("labels", matching.labels, &writer)
        writer.member("on", matching.isOn)
        writer.endObject()
    }

    // MARK: Times

    private static func startOrEnd(_ modifiers: TimeModifiers, _ writer: inout JSONWriter) {
        writer.key("startOrEnd")
        switch modifiers.at {
        case .start?: writer.string("start")
        case .end?: writer.string("end")
        case .milliseconds?, nil: writer.null()
        }
    }

    private static func timestamp(_ modifiers: TimeModifiers, _ writer: inout JSONWriter) {
        writer.key("timestamp")
        if case .milliseconds(let time)? = modifiers.at { writer.integer(time) } else { writer.null() }
    }

    /// `key` in milliseconds, 0 where it is computed, and `keyExpr` with the computation.
    private static func duration(_ key: String, _ value: DurationValue?, _ writer: inout JSONWriter) {
        switch value {
        case nil:
            writer.member(key, 0)
            writer.key("\(key)Expr")
            writer.null()
        case .milliseconds(let milliseconds)?:
            writer.member(key, milliseconds)
            writer.key("\(key)Expr")
            writer.null()
        case .expression(let expression, _)?:
            writer.member(key, 0)
            writer.key("\(key)Expr")
            write(expression, isWrapped: false, to: &writer)
        }
    }

    private static func write(_ expression: DurationExpression, isWrapped: Bool, to writer: inout JSONWriter) {
        switch expression {
        case .parenthesis(let inner): write(inner, isWrapped: true, to: &writer)
        // A number in parentheses has a sign around it in upstream's tree.
        case .literal where isWrapped: operation("+", nil, expression, isWrapped, &writer)
        case .literal(let number):
            writer.beginObject()
            writer.member("duration", number.isDuration)
            writer.member("type", "numberLiteral")
            writer.member("val", FloatText.plain(number.value))
            writer.endObject()
        case .step: operation("step", nil, nil, isWrapped, &writer)
        case .range: operation("range", nil, nil, isWrapped, &writer)
        case .negated(let inner): operation("-", nil, inner, isWrapped, &writer)
        case .binary(let sign, let left, let right): operation(sign.rawValue, left, right, isWrapped, &writer)
        case .minimum(let left, let right): operation("min_of", left, right, isWrapped, &writer)
        case .maximum(let left, let right): operation("max_of", left, right, isWrapped, &writer)
        }
    }

    private static func operation(
        _ name: String, _ left: DurationExpression?, _ right: DurationExpression?, _ isWrapped: Bool,
        _ writer: inout JSONWriter
    ) {
        writer.beginObject()
        for (side, expression) in [("lhs", left), ("rhs", right)] {
            if side == "rhs" { writer.member("op", name) }
            writer.key(side)
            if let expression { write(expression, isWrapped: false, to: &writer) } else { writer.null() }
        }
        writer.member("type", "durationExpr")
        writer.member("wrapped", isWrapped)
        writer.endObject()
    }
}
