internal import Telemetry

/// Reads PromQL: an operator-precedence parser for the whole grammar of Prometheus 3, with its error texts.
///
/// Grammar: `promql/parser/generated_parser.y` of Prometheus 3.14; every experimental feature is on.
struct PromQLParser {
    /// The deepest nesting a query may have, so that no text can exhaust the stack of a query thread.
    static let depthMaximum = 400

    private let bytes: [UInt8]
    let tokens: [Token]
    private(set) var index = 0
    private var depth = 0
    /// What a syntax error is said to be "in", when nothing more precise is known.
    private var context = ""

    private init(_ text: String) {
        bytes = Array(text.utf8)
        tokens = PromQLLexer.tokens(of: text)
    }

    /// Reads and type-checks an expression.
    static func expression(_ text: String) throws(QueryError) -> Expression {
        var parser = PromQLParser(text)
        if parser.current.kind == .endOfInput {
            throw parser.failure("no expression found in input", at: SourceSpan(start: 0, end: 0))
        }
        let expression = try parser.expression(minimumPrecedence: 0)
        guard parser.current.kind == .endOfInput else { throw parser.unexpected() }
        return try TypeChecker(bytes: parser.bytes).checked(expression)
    }

    /// Reads a series selector, `name{label="value"}`, without modifiers.
    static func selector(_ text: String) throws(QueryError) -> VectorSelector {
        var parser = PromQLParser(text)
        guard parser.startsSelector else { throw parser.unexpected() }
        let selector = try parser.vectorSelector()
        guard parser.current.kind == .endOfInput else { throw parser.unexpected() }
        return selector
    }
}

// MARK: Tokens and errors

extension PromQLParser {
    var current: Token { tokens[min(index, tokens.count - 1)] }

    mutating func take() -> Token {
        defer { index += 1 }
        return current
    }

    mutating func accept(_ kind: Token.Kind) -> Token? { current.kind == kind ? take() : nil }

    /// Where the token taken last stands.
    var lastSpan: SourceSpan { index == 0 ? .none : tokens[index - 1].span }

    func failure(_ message: String, at span: SourceSpan) -> QueryError {
        if bytes.isEmpty { return QueryError(.parse, message) }
        let place = SourceSpan.place(of: span.start, in: bytes)
        return QueryError(.parse, message, line: place.line, column: place.column)
    }

    func unexpected(in place: String? = nil, expected: String = "") -> QueryError {
        if current.kind == .failure { return failure(current.text, at: current.span) }
        let place = place ?? context
        var message = "unexpected \(current.described)"
        if !place.isEmpty { message += " in \(place)" }
        if !expected.isEmpty { message += ", expected \(expected)" }
        return failure(message, at: current.span)
    }

    mutating func descend() throws(QueryError) {
        depth += 1
        if depth > PromQLParser.depthMaximum {
            throw failure("expression is nested deeper than \(PromQLParser.depthMaximum)", at: current.span)
        }
    }

    mutating func ascend() { depth -= 1 }

    /// Within `place`, syntax errors are said to be in it.
    mutating func within<Value>(
        _ place: String, _ body: (inout PromQLParser) throws(QueryError) -> Value
    ) throws(QueryError) -> Value {
        let outer = context
        context = place
        defer { context = outer }
        return try body(&self)
    }
}

// MARK: Operators

extension PromQLParser {
    mutating func expression(minimumPrecedence: Int) throws(QueryError) -> Expression {
        try descend()
        let before = depth
        defer { depth = before - 1 }
        var left = try unary()
        while case .binary(let operation) = current.kind, operation.precedence >= minimumPrecedence {
            _ = take()
            // A chain nests to the left without recursion here, but whoever walks the tree recurses.
            try descend()
            var binary = BinaryExpression(operation, left, left)
            try binaryModifiers(&binary)
            binary.right = try expression(
                minimumPrecedence: operation.precedence + (operation.isRightAssociative ? 0 : 1))
            left = .binary(binary)
        }
        return left
    }

    private mutating func unary() throws(QueryError) -> Expression {
        guard current.kind == .binary(.add) || current.kind == .binary(.subtract) else { return try postfix() }
        let sign = take()
        let isNegation = sign.kind == .binary(.subtract)
        // A sign binds like `*`: weaker than `^`.
        let operand = try expression(minimumPrecedence: BinaryOperator.power.precedence)
        if case .number(var literal) = operand {
            if isNegation { literal.value = -literal.value }
            literal.span.start = sign.span.start
            return .number(literal)
        }
        return .unary(
            UnaryExpression(isNegation: isNegation, operand: operand, span: sign.span.through(operand.span)))
    }

    private mutating func binaryModifiers(_ binary: inout BinaryExpression) throws(QueryError) {
        var matching = VectorMatching()
        binary.returnsBool = accept(.keyword(.bool)) != nil
        let isOn = accept(.keyword(.on)) != nil
        if isOn || accept(.keyword(.ignoring)) != nil {
            matching.isOn = isOn
            matching.labels = try groupingLabels()
            let isLeft = accept(.keyword(.groupLeft)) != nil
            if isLeft || accept(.keyword(.groupRight)) != nil {
                matching.cardinality = isLeft ? .manyToOne : .oneToMany
                if current.kind == .leftParenthesis { matching.included = try groupingLabels() }
            }
        }
        if accept(.keyword(.fill)) != nil {
            matching.fillLeft = try fillValue()
            matching.fillRight = matching.fillLeft
        } else if accept(.keyword(.fillLeft)) != nil {
            matching.fillLeft = try fillValue()
            if accept(.keyword(.fillRight)) != nil { matching.fillRight = try fillValue() }
        } else if accept(.keyword(.fillRight)) != nil {
            matching.fillRight = try fillValue()
            if accept(.keyword(.fillLeft)) != nil { matching.fillLeft = try fillValue() }
        }
        binary.matching = matching
    }

    private mutating func fillValue() throws(QueryError) -> Double {
        guard accept(.leftParenthesis) != nil else { throw unexpected() }
        let isNegative = accept(.binary(.subtract)) != nil
        if !isNegative { _ = accept(.binary(.add)) }
        guard let literal = try numberOrDuration() else { throw unexpected() }
        guard accept(.rightParenthesis) != nil else { throw unexpected() }
        return isNegative ? -literal.value : literal.value
    }

    mutating func groupingLabels() throws(QueryError) -> [String] {
        guard accept(.leftParenthesis) != nil else {
            throw unexpected(in: "grouping opts", expected: "\"(\"")
        }
        var labels: [String] = []
        if accept(.rightParenthesis) != nil { return labels }
        while true {
            labels.append(try groupingLabel())
            if accept(.rightParenthesis) != nil { return labels }
            guard accept(.comma) != nil else {
                throw unexpected(in: "grouping opts", expected: "\",\" or \")\"")
            }
            if accept(.rightParenthesis) != nil { return labels }
        }
    }

    private mutating func groupingLabel() throws(QueryError) -> String {
        let token = current
        switch token.kind {
        case .identifier, .metricIdentifier, .aggregation, .preprocessor: break
        case .keyword(let keyword) where keyword != .without: break
        case .binary(let operation) where operation.isSetOperation || operation == .atan2: break
        case .string:
            _ = take()
            let name = try unquoted(token)
            if name.isEmpty {
                throw failure("invalid label name for grouping: \(GoText.quoted(name))", at: token.span)
            }
            return name
        default: throw unexpected(in: "grouping opts", expected: "label")
        }
        return take().text
    }
}

// MARK: Modifiers behind an expression

extension PromQLParser {
    private mutating func postfix() throws(QueryError) -> Expression {
        var expression = try primary()
        while true {
            switch current.kind {
            case .keyword(.offset):
                _ = take()
                let place = "offset, expected number, duration, step(), or range()"
                let offset = try within(place) { parser throws(QueryError) in try parser.offsetDuration() }
                expression = try withOffset(expression, offset)
            case .at:
                _ = take()
                expression = try withTimestamp(expression)
            case .leftBracket: expression = try brackets(after: expression)
            case .keyword(.anchored): expression = try withExtension(.anchored, expression)
            case .keyword(.smoothed): expression = try withExtension(.smoothed, expression)
            default: return expression
            }
            try descend()
        }
    }

    private func withOffset(_ expression: Expression, _ offset: DurationValue) throws(QueryError) -> Expression {
        var modified = expression
        let isKnown = modified.changeModifiers(end: lastSpan.end) { modifiers in
            guard modifiers.offset == nil else { return false }
            modifiers.offset = offset == .milliseconds(0) ? nil : offset
            return true
        }
        switch isKnown {
        case nil:
            throw failure(
                "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
                at: expression.span)
        case false?: throw failure("offset may not be set multiple times", at: expression.span)
        case true?: return modified
        }
    }

    private mutating func withTimestamp(_ expression: Expression) throws(QueryError) -> Expression {
        let at = try atModifier(of: expression)
        var modified = expression
        let isKnown = modified.changeModifiers(end: lastSpan.end) { modifiers in
            guard modifiers.at == nil else { return false }
            modifiers.at = at
            return true
        }
        switch isKnown {
        case nil:
            throw failure(
                "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
                at: expression.span)
        case false?: throw failure("@ <timestamp> may not be set multiple times", at: expression.span)
        case true?: return modified
        }
    }

    private mutating func atModifier(of expression: Expression) throws(QueryError) -> TimeModifiers.At {
        if case .preprocessor(let word) = current.kind, word == .start || word == .end {
            _ = take()
            guard accept(.leftParenthesis) != nil, accept(.rightParenthesis) != nil else {
                throw unexpected(in: "@", expected: "timestamp")
            }
            return word == .start ? .start : .end
        }
        let isNegative = accept(.binary(.subtract)) != nil
        if !isNegative { _ = accept(.binary(.add)) }
        guard let literal = try numberOrDuration() else { throw unexpected(in: "@", expected: "timestamp") }
        let seconds = isNegative ? -literal.value : literal.value
        let limit = Double(Int64.max)
        guard seconds.isFinite, seconds < limit, seconds > -limit else {
            throw failure(
                "timestamp out of bounds for @ modifier: \(FloatText.formatted(seconds, verb: "f", precision: 6))",
                at: expression.span)
        }
        let milliseconds = (seconds * 1000).rounded(.toNearestOrAwayFromZero)
        return .milliseconds(Int64(exactly: milliseconds) ?? (milliseconds < 0 ? .min : .max))
    }

    private mutating func withExtension(
        _ extent: VectorSelector.Extension, _ expression: Expression
    ) throws(QueryError) -> Expression {
        _ = take()
        func apply(_ selector: VectorSelector) throws(QueryError) -> VectorSelector {
            if let present = selector.extent, present != extent {
                throw failure("anchored and smoothed modifiers cannot be used together", at: expression.span)
            }
            var changed = selector
            changed.extent = extent
            return changed
        }
        switch expression {
        case .vector(let selector): return .vector(try apply(selector))
        case .matrix(var matrix):
            matrix.selector = try apply(matrix.selector)
            return .matrix(matrix)
        case .subquery:
            throw failure("\(extent.rawValue) modifier is not supported for subqueries", at: expression.span)
        default: throw failure("\(extent.rawValue) modifier not implemented", at: expression.span)
        }
    }

    private mutating func brackets(after expression: Expression) throws(QueryError) -> Expression {
        let open = take()
        let numberOrDuration = "number, duration, step(), or range()"
        let range = try within("subquery or range selector, expected \(numberOrDuration)") {
            parser throws(QueryError) in
            try parser.positiveDuration()
        }
        if let close = accept(.rightBracket) {
            return try matrix(expression, range, brackets: open.span.through(close.span))
        }
        guard accept(.colon) != nil else {
            throw unexpected(in: "subquery or range", expected: "\":\" or \"]\"")
        }
        var step: DurationValue?
        if current.kind != .rightBracket {
            let place = "subquery selector, expected number, duration, step(), range(), or \"]\""
            step = try within(place) { parser throws(QueryError) in try parser.positiveDuration() }
        }
        guard let close = accept(.rightBracket) else {
            throw unexpected(in: "subquery selector", expected: "\"]\"")
        }
        return .subquery(
            Subquery(inner: expression, range: range, step: step, span: expression.span.through(close.span)))
    }

    private func matrix(
        _ expression: Expression, _ range: DurationValue, brackets: SourceSpan
    ) throws(QueryError) -> Expression {
        guard case .vector(let selector) = expression else {
            throw failure("ranges only allowed for vector selectors", at: brackets)
        }
        if selector.modifiers.offset != nil {
            throw failure("no offset modifiers allowed before range", at: brackets)
        }
        if selector.modifiers.at != nil { throw failure("no @ modifiers allowed before range", at: brackets) }
        return .matrix(
            MatrixSelector(selector: selector, range: range, span: selector.span.through(brackets)))
    }
}

extension Expression {
    /// Changes the time modifiers of a selector or sub-query and moves its end; nil for other expressions.
    fileprivate mutating func changeModifiers(end: Int, _ change: (inout TimeModifiers) -> Bool) -> Bool? {
        switch self {
        case .vector(var node):
            let isChanged = change(&node.modifiers)
            node.span.end = end
            self = .vector(node)
            return isChanged
        case .matrix(var node):
            let isChanged = change(&node.selector.modifiers)
            node.span.end = end
            self = .matrix(node)
            return isChanged
        case .subquery(var node):
            let isChanged = change(&node.modifiers)
            node.span.end = end
            self = .subquery(node)
            return isChanged
        default: return nil
        }
    }
}
