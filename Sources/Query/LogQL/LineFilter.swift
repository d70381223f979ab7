internal import Telemetry

/// Applies line filters to lines that a store did not filter itself.
struct LineFilter {
    private struct Condition {
        let expressions: [RegularExpression]
        let isNegated: Bool
    }

    private let conditions: [Condition]

    /// Compiles predicates; a text becomes an expression that matches nothing else.
    init(_ predicates: [LinePredicate]) throws {
        conditions = try predicates.map { predicate in
            let expressions = try predicate.alternatives.map { text in
                let pattern = predicate.kind == .contains ? LineFilter.literal(text) : text
                return try RegularExpression(pattern, foldCase: predicate.foldsCase)
            }
            return Condition(expressions: expressions, isNegated: predicate.isNegated)
        }
    }

    /// Whether `line` passes all of them.
    func keeps(_ line: ArraySlice<UInt8>) -> Bool {
        line.withUnsafeBytes { raw in
            conditions.allSatisfy { condition in
                condition.expressions.contains { $0.matches(raw) } != condition.isNegated
            }
        }
    }

    /// `\x{41}`-escapes whatever is not a letter or digit, so that no character of the text has a meaning.
    private static func literal(_ text: String) -> String {
        var pattern = ""
        for scalar in text.unicodeScalars {
            if scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) {
                pattern.unicodeScalars.append(scalar)
            } else {
                pattern += "\\x{\(String(scalar.value, radix: 16))}"
            }
        }
        return pattern
    }
}
