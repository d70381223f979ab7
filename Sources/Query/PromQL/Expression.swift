package import Telemetry

/// The syntax tree of a PromQL expression. Trees are equal when they mean the same, wherever they were written.
package indirect enum Expression: Hashable, Sendable {
    case number(NumberLiteral)
    case string(StringLiteral)
    case vector(VectorSelector)
    case matrix(MatrixSelector)
    case subquery(Subquery)
    case call(Call)
    case aggregation(Aggregation)
    case binary(BinaryExpression)
    case unary(UnaryExpression)
    case parenthesis(Parenthesis)
    case logs(LogsExpression)

    /// Where it stands in the query.
    package var span: SourceSpan {
        switch self {
        case .number(let node): node.span
        case .string(let node): node.span
        case .vector(let node): node.span
        case .matrix(let node): node.span
        case .subquery(let node): node.span
        case .call(let node): node.span
        case .aggregation(let node): node.span
        case .binary(let node): node.left.span.through(node.right.span)
        case .unary(let node): node.span
        case .parenthesis(let node): node.span
        case .logs(let node): node.span
        }
    }

    /// What it evaluates to.
    package var type: ValueType {
        switch self {
        case .number: .scalar
        case .string: .string
        case .vector, .aggregation, .logs: .vector
        case .matrix, .subquery: .matrix
        case .call(let node): node.function.returnType
        case .binary(let node): node.left.type == .scalar && node.right.type == .scalar ? .scalar : .vector
        case .unary(let node): node.operand.type
        case .parenthesis(let node): node.inner.type
        }
    }

    /// The expressions directly below it, in the order they are evaluated.
    package var children: [Expression] {
        switch self {
        case .number, .string, .vector, .matrix, .logs: []
        case .subquery(let node): [node.inner]
        case .call(let node): node.arguments
        case .aggregation(let node): [node.parameter, node.operand].compactMap { $0 }
        case .binary(let node): [node.left, node.right]
        case .unary(let node): [node.operand]
        case .parenthesis(let node): [node.inner]
        }
    }

    /// Without the parentheses around it.
    var unwrapped: Expression {
        var inner = self
        while case .parenthesis(let node) = inner { inner = node.inner }
        return inner
    }

    /// The first `logs(…)` in it, nil when there is none.
    var firstLogs: LogsExpression? {
        if case .logs(let node) = self { return node }
        for child in children {
            if let found = child.firstLogs { return found }
        }
        return nil
    }

    /// Calls `visit` for every vector selector below, also those of ranges.
    package func forEachSelector(_ visit: (VectorSelector) -> Void) {
        switch self {
        case .vector(let selector): visit(selector)
        case .matrix(let matrix): visit(matrix.selector)
        default: for child in children { child.forEachSelector(visit) }
        }
    }
}

/// The types an expression can have.
package enum ValueType: String, Hashable, Sendable {
    case scalar
    case string
    case vector
    case matrix

    /// What the documentation calls it.
    package var documentedName: String {
        switch self {
        case .vector: "instant vector"
        case .matrix: "range vector"
        case .scalar, .string: rawValue
        }
    }
}

/// `5`, `0x1f`, `Inf`, or a duration in seconds: `5m`.
package struct NumberLiteral: Hashable, Sendable {
    package var value: Double
    /// Whether it was written as a duration, and is printed as one.
    package var isDuration: Bool
    package var span: SourceSpan

    /// A number.
    package init(_ value: Double, isDuration: Bool = false, span: SourceSpan = .none) {
        self.value = value
        self.isDuration = isDuration
        self.span = span
    }

    package static func == (left: NumberLiteral, right: NumberLiteral) -> Bool {
        (left.value == right.value || (left.value.isNaN && right.value.isNaN)) && left.isDuration == right.isDuration
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(value.isNaN ? 0 : value) }
}

/// A text in quotes.
package struct StringLiteral: Hashable, Sendable {
    package var value: String
    /// The literal as it was written, where its bytes are not UTF-8 and `value` cannot hold them.
    package var source: String?
    package var span: SourceSpan

    /// A text.
    package init(_ value: String, source: String? = nil, span: SourceSpan = .none) {
        self.value = value
        self.source = source
        self.span = span
    }
}

/// What `offset` and `@` say about the time a selector or sub-query looks at.
package struct TimeModifiers: Hashable, Sendable {
    /// What stands behind `@`.
    package enum At: Hashable, Sendable {
        case milliseconds(Int64)
        case start
        case end
    }

    package var offset: DurationValue?
    package var at: At?

    /// No modifiers.
    package init() {}
}

/// `name{label="value"}` with its modifiers.
package struct VectorSelector: Hashable, Sendable {
    /// How samples beside the window's edges count.
    package enum Extension: String, Hashable, Sendable {
        case anchored
        case smoothed
    }

    /// The name in front of the braces, empty for none; `matchers` has it too.
    package var name: String
    package var matchers: [LabelMatcher]
    package var modifiers = TimeModifiers()
    package var extent: Extension?
    package var span: SourceSpan

    /// A selector.
    package init(name: String, matchers: [LabelMatcher], span: SourceSpan = .none) {
        self.name = name
        self.matchers = matchers
        self.span = span
    }

    /// The order of the matchers means nothing.
    package static func == (left: VectorSelector, right: VectorSelector) -> Bool {
        left.name == right.name && left.modifiers == right.modifiers && left.extent == right.extent
            && left.matchers.count == right.matchers.count && Set(left.matchers) == Set(right.matchers)
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(Set(matchers))
    }
}

/// `selector[range]`.
package struct MatrixSelector: Hashable, Sendable {
    /// Carries the modifiers that stand behind the range.
    package var selector: VectorSelector
    package var range: DurationValue
    package var span: SourceSpan

    /// A range of samples.
    package init(selector: VectorSelector, range: DurationValue, span: SourceSpan = .none) {
        self.selector = selector
        self.range = range
        self.span = span
    }
}

/// `expression[range:step]`.
package struct Subquery: Hashable, Sendable {
    package var inner: Expression
    package var range: DurationValue
    /// Nil for the engine's default.
    package var step: DurationValue?
    package var modifiers = TimeModifiers()
    package var span: SourceSpan

    /// A range of evaluations.
    package init(inner: Expression, range: DurationValue, step: DurationValue?, span: SourceSpan = .none) {
        self.inner = inner
        self.range = range
        self.step = step
        self.span = span
    }
}

/// `function(arguments)`.
package struct Call: Hashable, Sendable {
    package var function: Function
    package var arguments: [Expression]
    package var span: SourceSpan

    /// A call.
    package init(function: Function, arguments: [Expression], span: SourceSpan = .none) {
        self.function = function
        self.arguments = arguments
        self.span = span
    }
}

/// `sum by (label) (vector)`.
package struct Aggregation: Hashable, Sendable {
    package var operation: AggregationOperator
    package var operand: Expression
    package var parameter: Expression?
    package var grouping: [String]
    /// Whether `grouping` names the labels that are dropped.
    package var isWithout: Bool
    package var span: SourceSpan

    /// An aggregation.
    package init(
        _ operation: AggregationOperator, _ operand: Expression, parameter: Expression? = nil, grouping: [String] = [],
        isWithout: Bool = false, span: SourceSpan = .none
    ) {
        self.operation = operation
        self.operand = operand
        self.parameter = parameter
        self.grouping = grouping
        self.isWithout = isWithout
        self.span = span
    }
}

/// `left operator right`.
package struct BinaryExpression: Hashable, Sendable {
    package var operation: BinaryOperator
    package var left: Expression
    package var right: Expression
    /// Nil unless both sides are vectors.
    package var matching: VectorMatching?
    /// Whether a comparison answers 0 or 1 instead of filtering.
    package var returnsBool: Bool

    /// A binary operation.
    package init(
        _ operation: BinaryOperator, _ left: Expression, _ right: Expression, matching: VectorMatching? = nil,
        returnsBool: Bool = false
    ) {
        self.operation = operation
        self.left = left
        self.right = right
        self.matching = matching
        self.returnsBool = returnsBool
    }
}

/// `-operand` or `+operand`.
package struct UnaryExpression: Hashable, Sendable {
    package var isNegation: Bool
    package var operand: Expression
    package var span: SourceSpan

    /// A sign before an expression.
    package init(isNegation: Bool, operand: Expression, span: SourceSpan = .none) {
        self.isNegation = isNegation
        self.operand = operand
        self.span = span
    }
}

/// `(inner)`.
package struct Parenthesis: Hashable, Sendable {
    package var inner: Expression
    package var span: SourceSpan

    /// An expression in parentheses.
    package init(_ inner: Expression, span: SourceSpan = .none) {
        self.inner = inner
        self.span = span
    }
}
