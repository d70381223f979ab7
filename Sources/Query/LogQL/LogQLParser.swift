internal import Telemetry

/// Reads LogQL: the whole grammar of Loki 3.x. Errors name line and column.
///
/// Source: `pkg/logql/syntax` of Loki as described by its documentation; operators bind as in PromQL.
struct LogQLParser {
    /// Deeper nesting is refused, so that hostile text cannot exhaust the stack.
    static let depthMaximum = 200

    /// Whether a selector may match every stream, as `{}` does. Loki refuses that, because it would have to read
    /// all it has; who asks here knows what he does.
    let allowsEverything: Bool
    private let text: [UInt8]
    private let tokens: [LogQLToken]
    private var position = 0
    private var depth = 0

    private init(_ query: String, allowsEverything: Bool = false) throws(QueryError) {
        self.allowsEverything = allowsEverything
        text = Array(query.utf8)
        tokens = LogQLParser.withKeywords(try LogQLLexer.tokens(query))
    }

    /// Keywords are keywords in any case, where one can stand; names of functions only in front of a parenthesis or a
    /// grouping. Labels keep their case.
    private static func withKeywords(_ tokens: [LogQLToken]) -> [LogQLToken] {
        var tokens = tokens
        for index in tokens.indices {
            guard case .identifier(let word) = tokens[index].kind, case let lower = word.lowercased(), lower != word
            else { continue }
            let before = index > 0 ? tokens[index - 1].kind : .end
            let isKeyword =
                switch before {
                case .symbol("|"): lower == "unwrap" || LogStages.all.contains { $0.keyword == lower }
                case .symbol("("), .symbol(","), .symbol("{"): false
                default: reservedWords.contains(lower)
                }
            guard isKeyword || isFunction(lower) && isCall(tokens[min(index + 1, tokens.count - 1)].kind) else {
                continue
            }
            tokens[index] = LogQLToken(kind: .identifier(lower), text: tokens[index].text, span: tokens[index].span)
        }
        return tokens
    }

    /// Whether what follows a function's name makes it one.
    private static func isCall(_ following: LogQLToken.Kind) -> Bool {
        switch following {
        case .symbol("("): true
        case .identifier(let word): ["by", "without"].contains(word.lowercased())
        default: false
        }
    }

    private static func isFunction(_ word: String) -> Bool {
        LogRangeFunction(rawValue: word) != nil || LogVectorFunction(rawValue: word) != nil
            || ["ip", "vector", "label_replace"].contains(word) || LogUnwrap.conversions[word] != nil
    }

    /// The expression that is all of `query`.
    static func expression(
        _ query: String, allowsEverything: Bool = false
    ) throws(QueryError) -> LogQLExpression {
        var parser = try LogQLParser(query, allowsEverything: allowsEverything)
        let expression = try parser.expression(minimumPrecedence: 1)
        guard parser.token.kind == .end else { throw parser.unexpected() }
        return expression
    }

    /// The matchers of a stream selector that is all of `query`.
    static func selector(_ query: String) throws(QueryError) -> [LabelMatcher] {
        guard case .lines(let pipeline) = try expression(query), pipeline.stages.isEmpty else {
            throw QueryError(.parse, "only a stream selector is allowed here, like {app=\"web\"}", line: 1, column: 1)
        }
        return pipeline.matchers
    }

    // MARK: Words

    /// The next word.
    var token: LogQLToken { tokens[position] }

    private var following: LogQLToken { tokens[min(position + 1, tokens.count - 1)] }

    /// What stands behind the next word.
    var tokenBehind: LogQLToken.Kind { following.kind }

    /// Whether `| unwrap` is next.
    var isAtUnwrap: Bool { token.kind == .symbol("|") && following.kind == .identifier("unwrap") }

    /// Whether the next word is compared with something, and so is a label rather than a keyword.
    var isFilterOperatorNext: Bool {
        guard case .symbol(let symbol) = following.kind else { return false }
        return ["=", "!=", "=~", "!~", "==", ">", ">=", "<", "<="].contains(symbol) && !isLineFilterBehind
    }

    /// `| json != "x"`: a keyword followed by a line filter, unless the label `json` is meant; Loki reads the filter.
    private var isLineFilterBehind: Bool {
        guard case .identifier(let word) = token.kind,
            following.kind == .symbol("!=") || following.kind == .symbol("!~")
        else { return false }
        return LogStages.all.contains { $0.keyword == word }
    }

    mutating func advance() { position = min(position + 1, tokens.count - 1) }

    /// Takes `symbol` if it is next.
    mutating func accept(_ symbol: String) -> Bool {
        guard token.kind == .symbol(symbol) else { return false }
        advance()
        return true
    }

    /// Takes the keyword if it is next.
    mutating func accept(keyword: String) -> Bool {
        guard token.kind == .identifier(keyword) else { return false }
        advance()
        return true
    }

    mutating func expect(_ symbol: String) throws(QueryError) {
        guard accept(symbol) else { throw unexpected(wanted: symbol) }
    }

    var isAtIdentifier: Bool {
        if case .identifier = token.kind { return true }
        return false
    }

    mutating func identifier() throws(QueryError) -> String {
        guard case .identifier(let name) = token.kind else { throw unexpected(wanted: "IDENTIFIER") }
        advance()
        return name
    }

    mutating func string() throws(QueryError) -> String {
        guard case .string(let text) = token.kind else { throw unexpected(wanted: "STRING") }
        advance()
        return text
    }

    /// A number with an optional sign.
    mutating func signedNumber() throws(QueryError) -> Double {
        let sign: Double = accept("-") ? -1 : 1
        if sign > 0 { _ = accept("+") }
        return sign * (try number())
    }

    /// A number; a sign is no part of it.
    mutating func number() throws(QueryError) -> Double {
        if token.kind == .malformedNumber {
            throw failure(
                "unable to parse literal as a float: strconv.ParseFloat: parsing \(QuotedText.quoted(token.text)): "
                    + "invalid syntax", at: token.span)
        }
        guard case .number(let value) = token.kind else { throw unexpected(wanted: "NUMBER") }
        advance()
        return value
    }

    func unexpected(wanted: String? = nil) -> QueryError {
        let expecting = wanted.map { ", expecting \($0)" } ?? ""
        return failure("syntax error: unexpected \(described(token))\(expecting)", at: token.span)
    }

    /// Keywords are called by their name; those of functions only in front of a parenthesis.
    private func described(_ token: LogQLToken) -> String {
        guard case .identifier(let word) = token.kind else { return token.described }
        if LogQLParser.reservedWords.contains(word) { return word }
        guard following.kind == .symbol("("), LogQLParser.isFunction(word) else { return token.described }
        // Loki's grammar calls these by the names of their tokens.
        return ["ip", "label_replace"].contains(word) ? word : word.uppercased()
    }

    /// Words that are never labels.
    static let reservedWords: Set<String> = [
        "and", "bool", "by", "group_left", "group_right", "ignoring", "offset", "on", "or", "unless", "unwrap",
        "without",
    ]

    func failure(_ message: String, at span: SourceSpan) -> QueryError {
        let place = SourceSpan.place(of: span.start, in: text)
        return QueryError(.parse, message, line: place.line, column: place.column)
    }

    // MARK: Expressions

    /// Operators of at least this precedence and what they join.
    mutating func expression(minimumPrecedence: Int) throws(QueryError) -> LogQLExpression {
        depth += 1
        defer { depth -= 1 }
        guard depth < LogQLParser.depthMaximum else {
            throw failure("syntax error: expression is nested too deeply", at: token.span)
        }
        var left = try operand()
        while let operation = nextOperator, operation.precedence >= minimumPrecedence {
            let span = token.span
            advance()
            let returnsBool = accept(keyword: "bool")
            let matching = try vectorMatching(operation)
            let next = operation.isRightAssociative ? operation.precedence : operation.precedence + 1
            let right = try expression(minimumPrecedence: next)
            let node = LogBinary(
                operation: operation, left: left, right: right, returnsBool: returnsBool, matching: matching, span: span
            )
            try check(node)
            left = .binary(node)
        }
        return left
    }

    private var nextOperator: BinaryOperator? {
        switch token.kind {
        case .symbol(let symbol):
            guard let operation = BinaryOperator(rawValue: symbol), operation != .trimLower, operation != .trimUpper
            else {
                return nil
            }
            return operation
        case .identifier(let word) where ["and", "or", "unless"].contains(word): return BinaryOperator(rawValue: word)
        default: return nil
        }
    }

    private func check(_ node: LogBinary) throws(QueryError) {
        for (side, operand) in [("left", node.left), ("right", node.right)] {
            if !operand.isMetric {
                throw failure(
                    "unexpected type for \(side) leg of binary operation (\(node.operation.rawValue)): log query",
                    at: node.span)
            }
            if node.operation.isSetOperation, let literal = operand.literal {
                throw failure(
                    "unexpected literal for \(side) leg of logical/set binary operation "
                        + "(\(node.operation.rawValue)): \(FloatText.formatted(literal, verb: "f", precision: 6))",
                    at: node.span)
            }
        }
        if node.returnsBool, !node.operation.isComparison {
            throw failure("bool modifier can only be used on comparison operators", at: node.span)
        }
    }

    private mutating func vectorMatching(_ operation: BinaryOperator) throws(QueryError) -> VectorMatching? {
        var matching = VectorMatching()
        if operation.isSetOperation { matching.cardinality = .manyToMany }
        let isOn = accept(keyword: "on")
        guard isOn || accept(keyword: "ignoring") else { return nil }
        matching.isOn = isOn
        matching.labels = try labelList()
        for (keyword, cardinality) in [
            ("group_left", VectorMatching.Cardinality.manyToOne), ("group_right", .oneToMany),
        ] {
            guard accept(keyword: keyword) else { continue }
            guard !operation.isSetOperation else {
                throw failure("no grouping allowed for \(operation.rawValue) operation", at: token.span)
            }
            matching.cardinality = cardinality
            if token.kind == .symbol("(") { matching.included = try labelList() }
        }
        return matching
    }

    private mutating func labelList() throws(QueryError) -> [String] {
        try expect("(")
        if accept(")") { return [] }
        let isCall = tokenBehind == .symbol("(")
        guard isAtIdentifier, !isCall else { throw unexpected(wanted: "IDENTIFIER or )") }
        var labels: [String] = []
        repeat { labels.append(try identifier()) } while accept(",")
        guard accept(")") else { throw unexpected(wanted: ", or )") }
        return labels
    }

    mutating func grouping() throws(QueryError) -> LogGrouping? {
        let isWithout = token.kind == .identifier("without")
        guard isWithout || token.kind == .identifier("by") else { return nil }
        advance()
        return LogGrouping(labels: try labelList(), isWithout: isWithout)
    }

    private mutating func operand() throws(QueryError) -> LogQLExpression {
        switch token.kind {
        case .symbol("{"): return .lines(try pipeline())
        case .symbol("("):
            advance()
            let inner = try expression(minimumPrecedence: 1)
            try expect(")")
            return inner
        case .symbol("-"), .symbol("+"), .number, .malformedNumber: return .number(try signedNumber())
        case .identifier(let name): return try call(name)
        default: throw unexpected()
        }
    }

    private mutating func call(_ name: String) throws(QueryError) -> LogQLExpression {
        let span = token.span
        if let function = LogRangeFunction(rawValue: name) {
            advance()
            return .rangeAggregation(try rangeAggregation(function, span))
        }
        if let function = LogVectorFunction(rawValue: name) {
            advance()
            return .vectorAggregation(try vectorAggregation(function, span))
        }
        switch name {
        case "vector":
            advance()
            try expect("(")
            let value = try number()
            try expect(")")
            return .vector(value)
        case "label_replace":
            advance()
            return .labelReplace(try labelReplace(span))
        default: throw unexpected()
        }
    }

    private mutating func vectorAggregation(
        _ function: LogVectorFunction, _ span: SourceSpan
    ) throws(QueryError) -> LogVectorAggregation {
        var grouping = try grouping()
        try expect("(")
        var parameter: Double?
        if case .number(let value) = token.kind, tokenBehind == .symbol(",") {
            guard function.takesParameter else {
                throw failure(
                    "unsupported parameter for operation \(function.rawValue)(\(FloatText.plain(value)),", at: span)
            }
            advance()
            advance()
            parameter = value
        } else if isAtIdentifier, tokenBehind == .symbol(",") {
            throw unexpected()
        } else if function.takesParameter {
            throw failure("parameter required for operation \(function.rawValue)", at: span)
        }
        let operand = try expression(minimumPrecedence: 1)
        guard operand.isMetric || token.kind != .symbol(")") else {
            throw failure(
                "syntax error: unexpected ): \(function.rawValue) needs numbers, this is a log query; wrap it in a "
                    + "range function such as count_over_time", at: token.span)
        }
        try expect(")")
        if grouping == nil { grouping = try self.grouping() }
        if let parameter, parameter < 1 || parameter != parameter.rounded() || parameter > 1e9 {
            let reason = parameter <= 0 ? " (must be greater than 0)" : ""
            throw failure("invalid parameter\(reason) \(function.rawValue)(\(FloatText.plain(parameter)),", at: span)
        }
        if grouping != nil, function == .approximateTopk {
            throw failure("grouping not allowed for approx_topk aggregation", at: span)
        }
        if let grouping, !grouping.labels.isEmpty, function == .sort || function == .sortDescending {
            throw failure("sort and sort_desc doesn't allow grouping by", at: span)
        }
        return LogVectorAggregation(
            function: function, parameter: parameter, operand: operand, grouping: grouping, span: span)
    }

    private mutating func labelReplace(_ span: SourceSpan) throws(QueryError) -> LogLabelReplace {
        try expect("(")
        let operand = try expression(minimumPrecedence: 1)
        var texts: [String] = []
        for _ in 0..<4 {
            try expect(",")
            texts.append(try string())
        }
        try expect(")")
        do {
            _ = try RegularExpression(texts[3])
        } catch {
            throw failure("invalid regex in label_replace: \(error)", at: span)
        }
        return LogLabelReplace(
            operand: operand, destination: texts[0], replacement: texts[1], source: texts[2], pattern: texts[3],
            span: span)
    }
}
