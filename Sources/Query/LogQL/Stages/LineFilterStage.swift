internal import Telemetry

/// `|= "a" or "b"`: keeps lines by their text.
package struct LineFilterStage: LineProcessing {
    /// The six operators.
    package enum Operation: String, Sendable, CaseIterable {
        case contains = "|="
        case notContains = "!="
        case matchesRegex = "|~"
        case notMatchesRegex = "!~"
        case matchesPattern = "|>"
        case notMatchesPattern = "!>"

        var isNegated: Bool { rawValue.hasPrefix("!") }
    }

    /// A text, or an address range in `ip("…")`.
    package struct Alternative: Hashable, Sendable {
        package var text: String
        package var isAddress: Bool
    }

    package let operation: Operation
    package let alternatives: [Alternative]
    package let span: SourceSpan
    /// The filter as predicates of the port, all of which must hold; nil where it mixes texts and addresses in a way
    /// that needs one more operator than the port has.
    let predicates: [LinePredicate]?
    private let matchers: [LineMatcher]

    /// Throws why an expression or an address cannot be read.
    init(operation: Operation, alternatives: [Alternative], span: SourceSpan) throws {
        self.operation = operation
        self.alternatives = alternatives
        self.span = span
        let kind: LinePredicate.Kind =
            switch operation {
            case .contains, .notContains: .contains
            case .matchesRegex, .notMatchesRegex: .matchesRegex
            case .matchesPattern, .notMatchesPattern: .matchesPattern
            }
        let texts = alternatives.filter { !$0.isAddress }.map(\.text)
        let addresses = alternatives.filter(\.isAddress).map(\.text)
        let isNegated = operation.isNegated
        var predicates: [LinePredicate] = []
        if !texts.isEmpty { predicates.append(LinePredicate(kind, texts, isNegated: isNegated)) }
        if !addresses.isEmpty { predicates.append(LinePredicate(.containsAddress, addresses, isNegated: isNegated)) }
        // An empty text is in every line.
        if operation == .contains, texts.contains("") { predicates = [] }
        matchers = try predicates.map { try LineMatcher($0) }
        self.predicates = predicates.count > 1 && !isNegated ? nil : predicates
    }

    package var name: String { operation.rawValue }

    package var description: String {
        let texts = alternatives.map { $0.isAddress ? "ip(\(QuotedText.quoted($0.text)))" : QuotedText.quoted($0.text) }
        return "\(operation.rawValue) \(texts.joined(separator: " or "))"
    }

    func process(_ line: inout PipelineLine) -> Bool {
        line.text.withUnsafeBytes { text in
            predicates == nil
                ? matchers.contains { $0.matches(text) } : matchers.allSatisfy { $0.matches(text) }
        }
    }
}
