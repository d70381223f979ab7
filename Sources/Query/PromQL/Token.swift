/// One word of a PromQL text.
struct Token: Sendable {
    /// What the word is to the grammar.
    enum Kind: Hashable, Sendable {
        case endOfInput
        /// `logs(…)` with all that stands in the parentheses, which is LogQL.
        case logQL
        /// The lexer could not go on; the token's text says why.
        case failure
        case identifier
        /// An identifier with a colon in it, which only a metric's name may have.
        case metricIdentifier
        case string
        case number
        case duration
        case leftParenthesis
        case rightParenthesis
        case leftBrace
        case rightBrace
        case leftBracket
        case rightBracket
        case comma
        case colon
        case equal
        case matchesRegex
        case notMatchesRegex
        case at
        case binary(BinaryOperator)
        case aggregation(AggregationOperator)
        case keyword(Keyword)
        case preprocessor(Preprocessor)
    }

    /// Words with a meaning of their own.
    enum Keyword: String, Hashable, Sendable, CaseIterable {
        case offset
        case smoothed
        case anchored
        case by
        case without
        case on
        case ignoring
        case groupLeft = "group_left"
        case groupRight = "group_right"
        case fill
        case fillLeft = "fill_left"
        case fillRight = "fill_right"
        case bool

        var isFill: Bool { self == .fill || self == .fillLeft || self == .fillRight }
    }

    /// Words that are resolved from the query's own times before it is evaluated.
    enum Preprocessor: String, Hashable, Sendable, CaseIterable {
        case start
        case end
        case step
        case range
        case maximumOf = "max_of"
        case minimumOf = "min_of"
    }

    var kind: Kind
    var span: SourceSpan
    var text: String

    /// What a lower-cased word means; nil for a plain identifier.
    static func word(_ lowercased: String) -> Kind? {
        switch lowercased {
        case "inf", "nan": return .number
        case "and": return .binary(.and)
        case "or": return .binary(.or)
        case "unless": return .binary(.unless)
        case "atan2": return .binary(.atan2)
        default: break
        }
        if let aggregation = AggregationOperator(rawValue: lowercased) { return .aggregation(aggregation) }
        if let keyword = Keyword(rawValue: lowercased) { return .keyword(keyword) }
        return Preprocessor(rawValue: lowercased).map { .preprocessor($0) }
    }

    /// How an error message names the token, in Prometheus' words.
    var described: String {
        switch kind {
        case .endOfInput: "end of input"
        case .failure: text
        case .identifier: "identifier \(GoText.quoted(text))"
        case .metricIdentifier: "metric identifier \(GoText.quoted(text))"
        case .string: "string \(shortened)"
        case .number: "number \(shortened)"
        case .duration: "duration \(shortened)"
        case .binary, .matchesRegex, .notMatchesRegex, .at: "<op:\(text)>"
        case .aggregation: "<aggr:\(text)>"
        case .keyword: "<\(text)>"
        default: shortened
        }
    }

    private var shortened: String {
        text.unicodeScalars.count > 10
            ? GoText.quoted(String(String.UnicodeScalarView(text.unicodeScalars.prefix(10)))) + "..."
            : GoText.quoted(text)
    }
}
