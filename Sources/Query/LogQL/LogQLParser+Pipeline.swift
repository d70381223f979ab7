internal import Telemetry

/// Stream selectors, stages and ranges.
extension LogQLParser {
    /// `{app="a"} |= "b" | json`.
    mutating func pipeline() throws(QueryError) -> LogPipeline {
        let span = token.span
        let matchers = try selector()
        var pipeline = LogPipeline(matchers: matchers, span: span)
        while let stage = try stage() { pipeline.stages.append(stage) }
        return pipeline
    }

    private mutating func selector() throws(QueryError) -> [LabelMatcher] {
        let span = token.span
        try expect("{")
        var matchers: [LabelMatcher] = []
        if token.kind != .symbol("}") {
            repeat {
                let label = try identifier()
                guard let matcher = try matcherTail(of: label) else {
                    throw unexpected(wanted: "= or =~ or !~ or !=")
                }
                matchers.append(matcher)
            } while accept(",")
        }
        guard accept("}") else { throw unexpected(wanted: "} or ,") }
        guard allowsEverything || matchers.contains(where: { !$0.matchesAbsence }) else {
            throw failure(
                "queries require at least one regexp or equality matcher that does not have an empty-compatible value. "
                    + "For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will", at: span)
        }
        return matchers
    }

    /// What follows a label's name in a matcher; nil when it is no matcher.
    mutating func matcherTail(of label: String) throws(QueryError) -> LabelMatcher? {
        guard case .symbol(let symbol) = token.kind, let operation = LabelMatcher.Operation(rawValue: symbol) else {
            return nil
        }
        advance()
        let place = token.span
        let value = try string()
        do {
            return try LabelMatcher(label, operation, value)
        } catch {
            throw failure("\(error)", at: place)
        }
    }

    // MARK: Stages

    /// The next stage; nil where the pipeline ends.
    private mutating func stage() throws(QueryError) -> (any LogStage)? {
        guard case .symbol(let symbol) = token.kind else { return nil }
        if let operation = LineFilterStage.Operation(rawValue: symbol) { return try lineFilter(operation) }
        guard symbol == "|" else { return nil }
        // `unwrap` ends the pipeline and belongs to the range function around it.
        if isAtUnwrap { return nil }
        advance()
        let span = token.span
        if case .identifier(let word) = token.kind, !isFilterOperatorNext,
            let stage = LogStages.all.first(where: { $0.keyword == word })
        {
            advance()
            return try stage.parse(&self, span: span)
        }
        return LabelFilterStage(filter: try labelFilter(minimumPrecedence: 1), span: span)
    }

    private mutating func lineFilter(_ operation: LineFilterStage.Operation) throws(QueryError) -> LineFilterStage {
        let span = token.span
        advance()
        var alternatives: [LineFilterStage.Alternative] = []
        repeat {
            let place = token.span
            if token.kind == .identifier("ip") {
                guard operation == .contains || operation == .notContains else {
                    throw failure("ip: invalid operation", at: place)
                }
                alternatives.append(LineFilterStage.Alternative(text: try address().text, isAddress: true))
            } else {
                guard case .string = token.kind else { throw unexpected(wanted: "STRING or ip") }
                let text = try string()
                let isPattern = operation == .matchesPattern || operation == .notMatchesPattern
                if operation == .matchesRegex || operation == .notMatchesRegex { try checkRegex(text, at: place) }
                if isPattern, !CapturePattern(text).names.isEmpty {
                    throw failure("named captures are not allowed", at: place)
                }
                if isPattern, text.contains("<_><_>") {
                    throw failure("found consecutive capture '<_><_>': invalid expression", at: place)
                }
                alternatives.append(LineFilterStage.Alternative(text: text, isAddress: false))
            }
        } while accept(keyword: "or")
        do {
            return try LineFilterStage(operation: operation, alternatives: alternatives, span: span)
        } catch {
            throw failure("\(error)", at: span)
        }
    }

    private func checkRegex(_ pattern: String, at span: SourceSpan) throws(QueryError) {
        do {
            _ = try RegularExpression(pattern)
        } catch {
            throw failure("\(error)", at: span)
        }
    }

    /// `ip("10.0.0.0/8")`.
    private mutating func address() throws(QueryError) -> (text: String, matcher: AddressMatcher) {
        let place = token.span
        advance()
        try expect("(")
        let text = try string()
        try expect(")")
        guard let matcher = AddressMatcher(text) else {
            throw failure("ip: invalid pattern: \(QuotedText.quoted(text))", at: place)
        }
        return (text, matcher)
    }

    // MARK: Label filters

    /// Whether `and`, a comma, or, with the same meaning, the next filter without anything between stands here.
    private var isAtConjunction: Bool {
        switch token.kind {
        case .symbol(","), .symbol("("), .identifier("and"): true
        case .identifier(let word): !LogQLParser.reservedWords.contains(word)
        default: false
        }
    }

    /// `or` binds weaker than `and` and the comma, which mean the same.
    private mutating func labelFilter(minimumPrecedence: Int) throws(QueryError) -> LabelFilter {
        var left = try labelFilterOperand()
        while true {
            if minimumPrecedence <= 2, isAtConjunction {
                if token.kind == .symbol(",") || token.kind == .identifier("and") { advance() }
                left = .and(left, try labelFilter(minimumPrecedence: 3))
            } else if minimumPrecedence <= 1, token.kind == .identifier("or") {
                advance()
                left = .or(left, try labelFilter(minimumPrecedence: 2))
            } else {
                return left
            }
        }
    }

    private mutating func labelFilterOperand() throws(QueryError) -> LabelFilter {
        if accept("(") {
            let inner = try labelFilter(minimumPrecedence: 1)
            try expect(")")
            return inner
        }
        let label = try identifier()
        guard case .symbol(let symbol) = token.kind else { throw unexpected() }
        if let matcher = try addressOrText(label, symbol) { return matcher }
        let comparison = symbol == "=" ? .equal : LabelFilter.Comparison(rawValue: symbol)
        guard let comparison else {
            // A regular expression must follow its operator.
            if symbol == "=~" || symbol == "!~" { advance() }
            throw unexpected()
        }
        advance()
        let sign: Double = accept("-") ? -1 : 1
        if sign > 0 { _ = accept("+") }
        let number: LabelFilter.Number
        switch token.kind {
        case .number(let value): number = .plain(sign * value)
        case .duration(let nanoseconds): number = .duration(nanoseconds: Int64(sign) * nanoseconds)
        case .bytes(let bytes) where sign > 0: number = .bytes(bytes)
        case .malformedNumber: number = .plain(try self.number())
        default: throw unexpected(wanted: "BYTES or DURATION or NUMBER")
        }
        advance()
        return .number(label: label, comparison, number)
    }

    private mutating func addressOrText(_ label: String, _ symbol: String) throws(QueryError) -> LabelFilter? {
        let next = tokenBehind
        if next == .identifier("ip"), symbol == "=" || symbol == "!=" {
            advance()
            let (pattern, matcher) = try address()
            return .address(label: label, isNegated: symbol == "!=", matcher, pattern: pattern)
        }
        guard case .string = next else { return nil }
        return try matcherTail(of: label).map { .text($0) }
    }

    // MARK: Ranges

    /// `(…)` of a range function: pipeline, range, offset and unwrap, in any order that Loki takes.
    mutating func rangeAggregation(
        _ function: LogRangeFunction, _ span: SourceSpan
    ) throws(QueryError) -> LogRangeAggregation {
        try expect("(")
        var parameter: Double?
        if case .number(let value) = token.kind, tokenBehind == .symbol(",") {
            guard function == .quantile else {
                throw failure(
                    "parameter \(token.text) not supported for operation \(function.rawValue)", at: token.span)
            }
            advance()
            advance()
            parameter = value
        } else if !(token.kind == .symbol("{") || token.kind == .symbol("(")) {
            throw unexpected(wanted: "NUMBER or { or (")
        }
        var range = LogRange()
        try logRange(&range)
        try expect(")")
        let grouping = try self.grouping()
        guard let pipeline = range.pipeline, let window = range.windowNanoseconds else {
            throw failure("\(function.rawValue) needs a range such as [5m]", at: span)
        }
        if function == .quantile, parameter == nil {
            throw failure("parameter required for operation \(function.rawValue)", at: span)
        }
        if let grouping, !function.takesGrouping {
            throw failure("grouping not allowed for \(function.rawValue) aggregation: \(grouping.labels)", at: span)
        }
        if function.needsUnwrap, range.unwrap == nil {
            throw failure("invalid aggregation \(function.rawValue) without unwrap", at: span)
        }
        if !function.takesUnwrap, range.unwrap != nil {
            throw failure("invalid aggregation \(function.rawValue) with unwrap", at: span)
        }
        return LogRangeAggregation(
            function: function, parameter: parameter, pipeline: pipeline, unwrap: range.unwrap,
            windowNanoseconds: window, offsetNanoseconds: range.offsetNanoseconds ?? 0, grouping: grouping, span: span)
    }

    /// The parts of a range while they are read.
    private struct LogRange {
        var pipeline: LogPipeline?
        var windowNanoseconds: Int64?
        var offsetNanoseconds: Int64?
        var unwrap: LogUnwrap?
    }

    private mutating func logRange(_ range: inout LogRange) throws(QueryError) {
        if accept("(") {
            try logRange(&range)
            try expect(")")
        } else {
            range.pipeline = try pipeline()
        }
        while true {
            if case .range = token.kind, range.windowNanoseconds == nil {
                range.windowNanoseconds = try window()
            } else if token.kind == .identifier("offset"), range.windowNanoseconds != nil,
                range.offsetNanoseconds == nil
            {
                advance()
                range.offsetNanoseconds = try duration()
            } else if isAtUnwrap, range.unwrap == nil {
                range.unwrap = try unwrap()
            } else if let stage = try stage() {
                range.pipeline?.stages.append(stage)
            } else {
                return
            }
        }
    }

    private mutating func window() throws(QueryError) -> Int64 {
        guard case .range(let nanoseconds) = token.kind else { throw unexpected(wanted: "RANGE") }
        guard nanoseconds > 0 else { throw failure("a range must be longer than nothing", at: token.span) }
        advance()
        return nanoseconds
    }

    private mutating func duration() throws(QueryError) -> Int64 {
        let isNegative = accept("-")
        guard case .duration(let nanoseconds) = token.kind else { throw unexpected(wanted: "DURATION") }
        advance()
        return isNegative ? -nanoseconds : nanoseconds
    }

    private mutating func unwrap() throws(QueryError) -> LogUnwrap {
        try expect("|")
        advance()
        var unwrap = LogUnwrap(label: try identifier(), conversion: "", filters: [])
        if accept("(") {
            let place = token.span
            unwrap.conversion = unwrap.label
            guard LogUnwrap.conversions[unwrap.conversion] != nil else {
                throw failure(
                    "unknown conversion \(unwrap.conversion); known are bytes, duration, duration_seconds", at: place)
            }
            unwrap.label = try identifier()
            try expect(")")
        }
        while token.kind == .symbol("|"), !isAtUnwrap {
            advance()
            unwrap.filters.append(try labelFilter(minimumPrecedence: 1))
        }
        return unwrap
    }
}
