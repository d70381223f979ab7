internal import Telemetry

/// Writes expressions as Prometheus' `format_query` and rule pages do; reading the text again gives the same tree.
extension Expression: CustomStringConvertible {
    /// The canonical text, on one line.
    package var description: String {
        switch self {
        case .number(let node): node.description
        case .string(let node): node.source ?? GoText.quoted(node.value)
        case .vector(let node): node.description
        case .matrix(let node): node.description
        case .subquery(let node): "\(node.inner)\(node.timeDescription)"
        case .call(let node):
            "\(node.function.name)(\(node.arguments.map(\.description).joined(separator: ", ")))"
        case .aggregation(let node): node.description
        case .binary(let node): "\(node.leftDescription) \(node.operatorDescription) \(node.right)"
        case .unary(let node): "\(node.isNegation ? "-" : "+")\(node.operand)"
        case .parenthesis(let node): "(\(node.inner))"
        case .logs(let node): "logs(\(node.query))"
        }
    }
}

extension NumberLiteral: CustomStringConvertible {
    package var description: String {
        guard isDuration else { return FloatText.plain(value) }
        return Durations.prometheus(milliseconds: Int64(exactly: (value * 1000).rounded(.towardZero)) ?? .max)
    }
}

extension DurationValue: CustomStringConvertible {
    package var description: String {
        switch self {
        case .milliseconds(let milliseconds): Durations.prometheus(milliseconds: milliseconds)
        case .expression(let expression, _): expression.description
        }
    }
}

extension DurationExpression: CustomStringConvertible {
    package var description: String {
        switch self {
        case .literal(let number): number.description
        case .step: "step()"
        case .range: "range()"
        case .negated(let inner): "-\(inner)"
        case .binary(let operation, let left, let right): "\(left) \(operation.rawValue) \(right)"
        case .minimum(let left, let right): "min_of(\(left), \(right))"
        case .maximum(let left, let right): "max_of(\(left), \(right))"
        case .parenthesis(let inner): "(\(inner))"
        }
    }
}

extension TimeModifiers: CustomStringConvertible {
    /// ` @ 1.500 offset 5m`, with a space before each part.
    package var description: String { atDescription + offsetDescription }

    var offsetDescription: String { offset.map { " offset \($0)" } ?? "" }

    var atDescription: String {
        switch at {
        case nil: return ""
        case .start?: return " @ start()"
        case .end?: return " @ end()"
        case .milliseconds(let milliseconds)?:
            let fraction = String(milliseconds.magnitude % 1000)
            let padding = String(repeating: "0", count: 3 - fraction.count)
            return " @ \(milliseconds < 0 ? "-" : "")\(milliseconds.magnitude / 1000).\(padding)\(fraction)"
        }
    }
}

extension VectorSelector: CustomStringConvertible {
    package var description: String {
        bare + modifiers.atDescription + extensionDescription + modifiers.offsetDescription
    }

    /// The name and the matchers, ordered by their text, without modifiers.
    var bare: String {
        let texts = matchers.filter { !isName($0) }.map(\.quotedDescription).sorted {
            $0.utf8.lexicographicallyPrecedes($1.utf8)
        }
        return texts.isEmpty ? name.isEmpty ? "{}" : name : "\(name){\(texts.joined(separator: ","))}"
    }

    var extensionDescription: String { extent.map { " \($0.rawValue)" } ?? "" }

    private func isName(_ matcher: LabelMatcher) -> Bool {
        matcher.name == Labels.metricNameLabel && matcher.operation == .equal && matcher.value == name && !name.isEmpty
    }
}

extension MatrixSelector: CustomStringConvertible {
    package var description: String {
        "\(selector.bare)[\(range)]\(selector.extensionDescription)\(selector.modifiers)"
    }
}

extension Subquery {
    /// What stands behind the inner expression: `[1h:5m] @ 1.500 offset 5m`.
    var timeDescription: String { "[\(range):\(step?.description ?? "")]\(modifiers)" }
}

extension Aggregation: CustomStringConvertible {
    package var description: String { "\(head)(\(parameter.map { "\($0), " } ?? "")\(operand))" }

    /// What stands before the parentheses: `sum by (job) `.
    var head: String {
        if isWithout { return "\(operation.rawValue) without (\(PromQLNames.list(grouping))) " }
        return grouping.isEmpty ? operation.rawValue : "\(operation.rawValue) by (\(PromQLNames.list(grouping))) "
    }
}

extension BinaryExpression {
    /// The left side. A sign binds weaker than `^`, so infinity stands there without its own.
    fileprivate var leftDescription: String {
        if operation == .power, case .number(let literal) = left, literal.value == .infinity { return "Inf" }
        return left.description
    }

    /// The operator with its modifiers: `== bool on (job) group_left ()`.
    package var operatorDescription: String {
        var text = operation.rawValue + (returnsBool ? " bool" : "")
        guard let matching else { return text }
        let isGrouped = matching.cardinality == .manyToOne || matching.cardinality == .oneToMany
        if !matching.labels.isEmpty || matching.isOn || isGrouped {
            text += " \(matching.isOn ? "on" : "ignoring") (\(PromQLNames.list(matching.labels)))"
        }
        if isGrouped {
            let side = matching.cardinality == .manyToOne ? "left" : "right"
            text += " group_\(side) (\(PromQLNames.list(matching.included)))"
        }
        switch (matching.fillLeft, matching.fillRight) {
        case (let left?, let right?) where left == right: text += " fill (\(GoText.value(left)))"
        case (let left, let right):
            if let left { text += " fill_left (\(GoText.value(left)))" }
            if let right { text += " fill_right (\(GoText.value(right)))" }
        }
        return text
    }
}

extension LabelMatcher {
    /// As `description`, with a name that needs them in quotes.
    var quotedDescription: String { "\(PromQLNames.quotedIfNeeded(name))\(operation.rawValue)\(GoText.quoted(value))" }
}

/// Label names as they may stand in a query: plain where the old grammar allows it, else in quotes.
enum PromQLNames {
    static func list(_ names: [String]) -> String { names.map(quotedIfNeeded).joined(separator: ", ") }

    static func quotedIfNeeded(_ name: String) -> String {
        guard let first = name.utf8.first, first.isAlpha, name.utf8.allSatisfy({ $0.isAlphaNumeric }) else {
            return GoText.quoted(name)
        }
        return name
    }
}
