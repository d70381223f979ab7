internal import Telemetry

/// `|= "a" or "b"`: keeps lines by their text.
package struct LineFilterStage: LogStage {
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

    package var operation: Operation
    package var alternatives: [Alternative]
    package var span: SourceSpan

    package var name: String { alternatives.contains(where: \.isAddress) ? "ip" : operation.rawValue }

    package var description: String {
        let texts = alternatives.map { $0.isAddress ? "ip(\(QuotedText.quoted($0.text)))" : QuotedText.quoted($0.text) }
        return "\(operation.rawValue) \(texts.joined(separator: " or "))"
    }

    /// The port's form of the filter; nil where it is not evaluated.
    var predicate: LinePredicate? {
        guard !alternatives.contains(where: \.isAddress) else { return nil }
        let texts = alternatives.map(\.text)
        switch operation {
        case .contains, .notContains: return LinePredicate(.contains, texts, isNegated: operation.isNegated)
        case .matchesRegex, .notMatchesRegex:
            return LinePredicate(.matchesRegex, texts, isNegated: operation.isNegated)
        case .matchesPattern, .notMatchesPattern: return nil
        }
    }
}
