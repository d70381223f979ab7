/// One condition on a label, as PromQL and LogQL write them between braces.
public struct LabelMatcher: Hashable, Sendable {
    /// How the value is compared.
    public enum Operation: String, Sendable, CaseIterable {
        case equal = "="
        case notEqual = "!="
        case matchesRegex = "=~"
        case notMatchesRegex = "!~"
    }

    /// The label's name.
    public let name: String
    /// How the value is compared.
    public let operation: Operation
    /// The value, or the source of a regular expression that must match the whole value.
    public let value: String
    /// The compiled expression of a regex matcher, nil for the other two.
    public let expression: RegularExpression?

    /// A matcher; throws when a regular expression does not compile.
    public init(_ name: String, _ operation: Operation, _ value: String) throws(RegularExpressionError) {
        self.name = name
        self.operation = operation
        self.value = value
        switch operation {
        case .equal, .notEqual: expression = nil
        case .matchesRegex, .notMatchesRegex: expression = try LabelMatcher.compiled(value)
        }
    }

    /// A dot matches line ends in label values, as in Prometheus since 3.0. The value is compiled by itself too: it
    /// must be an expression without the group around it, and errors must name what was written.
    private static func compiled(_ value: String) throws(RegularExpressionError) -> RegularExpression {
        let plain = try RegularExpression(value)
        return plain.isLiteral ? plain : try RegularExpression("(?s:\(value))")
    }

    /// A matcher for one exact value.
    public static func equal(_ name: String, _ value: String) -> LabelMatcher {
        LabelMatcher(name: name, operation: .equal, value: value)
    }

    private init(name: String, operation: Operation, value: String) {
        self.name = name
        self.operation = operation
        self.value = value
        expression = nil
    }

    /// Whether a label of this value satisfies the matcher. An absent label has the empty value.
    public func matches(_ candidate: String) -> Bool {
        switch operation {
        case .equal: isSame(candidate)
        case .notEqual: !isSame(candidate)
        case .matchesRegex: expression?.matchesWhole(candidate) ?? false
        case .notMatchesRegex: !(expression?.matchesWhole(candidate) ?? false)
        }
    }

    /// Whether the bytes are the same: two spellings of "é" are equal strings and two values.
    private func isSame(_ candidate: String) -> Bool {
        candidate.utf8.count == value.utf8.count && candidate == value && candidate.utf8.elementsEqual(value.utf8)
    }

    /// Whether a series without the label satisfies the matcher.
    public var matchesAbsence: Bool { matches("") }

    /// Whether `labels` satisfies the matcher.
    public func matches(_ labels: Labels) -> Bool { matches(labels[name] ?? "") }

    public static func == (left: LabelMatcher, right: LabelMatcher) -> Bool {
        left.operation == right.operation && left.name == right.name && left.isSame(right.value)
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(operation)
        hasher.combine(value)
    }
}

extension LabelMatcher: CustomStringConvertible {
    /// The notation of PromQL: `name=~"value"`.
    public var description: String { "\(name)\(operation.rawValue)\(QuotedText.quoted(value))" }
}
