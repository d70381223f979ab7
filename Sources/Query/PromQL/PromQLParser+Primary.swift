internal import Telemetry

/// What expressions are made of: literals, selectors, calls, aggregations, parentheses.
extension PromQLParser {
    mutating func primary() throws(QueryError) -> Expression {
        switch current.kind {
        case .number, .duration:
            guard let literal = try numberOrDuration() else { throw unexpected() }
            return .number(literal)
        case .string:
            let token = take()
            let text = try unquoted(token)
            // The lexer lets no such character through, so it stands for escaped bytes.
            let isUTF8 = !text.unicodeScalars.contains("\u{fffd}")
            return .string(StringLiteral(text, source: isUTF8 ? nil : token.text, span: token.span))
        case .leftParenthesis:
            let open = take()
            let inner = try expression(minimumPrecedence: 0)
            guard let close = accept(.rightParenthesis) else { throw unexpected() }
            return .parenthesis(Parenthesis(inner, span: open.span.through(close.span)))
        case .aggregation(let operation) where isFollowed(by: [.leftParenthesis, .keyword(.by), .keyword(.without)]):
            return try aggregation(operation)
        case .logQL: return .logs(try logs())
        case .identifier where isFollowed(by: [.leftParenthesis]): return try call()
        case .preprocessor where isFollowed(by: [.leftParenthesis]): return try call()
        default:
            guard startsSelector else { throw unexpected() }
            return .vector(try vectorSelector())
        }
    }

    private var startsExpression: Bool {
        switch current.kind {
        case .number, .duration, .string, .leftParenthesis, .logQL, .identifier, .aggregation, .preprocessor,
            .binary(.add), .binary(.subtract):
            true
        default: startsSelector
        }
    }

    private func isFollowed(by kinds: [Token.Kind]) -> Bool {
        index + 1 < tokens.count && kinds.contains(tokens[index + 1].kind)
    }

    /// A number or a duration in seconds; nil where none stands.
    mutating func numberOrDuration() throws(QueryError) -> NumberLiteral? {
        switch current.kind {
        case .number:
            let token = take()
            do throws(GoText.NumberFailure) {
                return NumberLiteral(try GoText.number(token.text), span: token.span)
            } catch {
                throw failure("error parsing number: \(error)", at: token.span)
            }
        case .duration:
            let token = take()
            do throws(DurationError) {
                let milliseconds = try Durations.milliseconds(prometheus: token.text)
                return NumberLiteral(Double(milliseconds) / 1000, isDuration: true, span: token.span)
            } catch {
                throw failure(error.description, at: token.span)
            }
        default: return nil
        }
    }

    func unquoted(_ token: Token) throws(QueryError) -> String {
        guard let text = StringLiteralText.unquoted(token.text) else {
            throw failure(
                "error unquoting string \(GoText.quoted(token.text)): invalid syntax", at: token.span)
        }
        return text
    }

    // MARK: Logs

    /// `logs(…)`, which the lexer has left in one piece.
    private mutating func logs() throws(QueryError) -> LogsExpression {
        let token = take()
        let inside = token.text.dropFirst(token.text.prefix { $0 != "(" }.utf8.count + 1).dropLast()
        let offset = token.span.start + token.text.prefix { $0 != "(" }.utf8.count + 1
        let query: LogQLExpression
        do throws(QueryError) {
            query = try LogQLParser.expression(String(inside))
        } catch {
            // The place within the parentheses becomes the place within the whole.
            var start = offset
            var line = 1
            let bytes = Array(inside.utf8)
            while line < error.line, start - offset < bytes.count {
                if bytes[start - offset] == UInt8(ascii: "\n") { line += 1 }
                start += 1
            }
            throw failure(error.message, at: SourceSpan(start: start + max(0, error.column - 1), end: token.span.end))
        }
        guard query.isMetric else {
            throw failure(
                "logs(…) needs numbers, this is a log query; wrap it in a range function such as rate(… [5m])",
                at: token.span)
        }
        return LogsExpression(query: query, span: token.span)
    }

    // MARK: Calls

    private mutating func call() throws(QueryError) -> Expression {
        let name = take()
        let (arguments, end) = try self.arguments()
        guard let function = Functions.named(name.text) else {
            throw failure("unknown function with name \(GoText.quoted(name.text))", at: name.span)
        }
        let span = SourceSpan(start: name.span.start, end: end)
        return .call(Call(function: function, arguments: arguments, span: span))
    }

    private mutating func arguments() throws(QueryError) -> (expressions: [Expression], end: Int) {
        guard accept(.leftParenthesis) != nil else { throw unexpected() }
        var expressions: [Expression] = []
        if let close = accept(.rightParenthesis) { return (expressions, close.span.end) }
        while true {
            expressions.append(try expression(minimumPrecedence: 0))
            if let close = accept(.rightParenthesis) { return (expressions, close.span.end) }
            guard let comma = accept(.comma) else { throw unexpected() }
            if !startsExpression, current.kind != .endOfInput, current.kind != .failure {
                throw failure("trailing commas not allowed in function call args", at: comma.span)
            }
        }
    }

    private mutating func aggregation(_ operation: AggregationOperator) throws(QueryError) -> Expression {
        let name = take()
        var node = Aggregation(operation, .number(NumberLiteral(0)), span: name.span)
        let isModified = try aggregationModifier(&node)
        let (arguments, end) = try within("aggregation") { parser throws(QueryError) in try parser.arguments() }
        node.span.end = end
        if !isModified, try aggregationModifier(&node) { node.span.end = tokens[index - 1].span.end }
        if arguments.isEmpty {
            throw failure("no arguments for aggregate expression provided", at: node.span)
        }
        let wanted = operation.takesParameter ? 2 : 1
        guard arguments.count == wanted else {
            throw failure(
                "wrong number of arguments for aggregate expression provided, "
                    + "expected \(wanted), got \(arguments.count)", at: node.span)
        }
        node.operand = arguments[wanted - 1]
        node.parameter = operation.takesParameter ? arguments[0] : nil
        return .aggregation(node)
    }

    private mutating func aggregationModifier(_ node: inout Aggregation) throws(QueryError) -> Bool {
        node.isWithout = accept(.keyword(.without)) != nil
        guard node.isWithout || accept(.keyword(.by)) != nil else { return false }
        node.grouping = try groupingLabels()
        return true
    }

    // MARK: Selectors

    var startsSelector: Bool {
        switch current.kind {
        case .identifier, .metricIdentifier, .leftBrace, .aggregation, .preprocessor: true
        case .keyword(let keyword): ![.bool, .on, .ignoring, .groupLeft, .groupRight].contains(keyword)
        case .binary(let operation): operation.isSetOperation
        default: false
        }
    }

    mutating func vectorSelector() throws(QueryError) -> VectorSelector {
        let first = current
        var selector = VectorSelector(name: "", matchers: [], span: first.span)
        if first.kind != .leftBrace { selector.name = take().text }
        if accept(.leftBrace) != nil {
            selector.matchers = try matchers()
            selector.span.end = tokens[index - 1].span.end
        }
        if !selector.name.isEmpty { selector.matchers.append(.equal(Labels.metricNameLabel, selector.name)) }
        return selector
    }

    private mutating func matchers() throws(QueryError) -> [LabelMatcher] {
        var matchers: [LabelMatcher] = []
        if accept(.rightBrace) != nil { return matchers }
        while true {
            matchers.append(try matcher())
            if accept(.rightBrace) != nil { return matchers }
            guard accept(.comma) != nil else {
                throw unexpected(in: "label matching", expected: "\",\" or \"}\"")
            }
            if accept(.rightBrace) != nil { return matchers }
        }
    }

    private mutating func matcher() throws(QueryError) -> LabelMatcher {
        let label = current
        guard label.kind == .identifier || label.kind == .string else {
            throw unexpected(in: "label matching", expected: "identifier or \"}\"")
        }
        _ = take()
        let name = label.kind == .string ? try unquoted(label) : label.text
        let operation: LabelMatcher.Operation
        switch current.kind {
        case .equal: operation = .equal
        case .binary(.notEqual): operation = .notEqual
        case .matchesRegex: operation = .matchesRegex
        case .notMatchesRegex: operation = .notMatchesRegex
        default:
            // A quoted name alone is the metric's name.
            if label.kind == .string { return .equal(Labels.metricNameLabel, name) }
            throw unexpected(in: "label matching", expected: "label matching operator")
        }
        _ = take()
        guard let value = accept(.string) else { throw unexpected(in: "label matching", expected: "string") }
        let text = try unquoted(value)
        do throws(RegularExpressionError) {
            return try LabelMatcher(name, operation, text)
        } catch {
            throw failure("\(error)", at: label.span)
        }
    }
}
