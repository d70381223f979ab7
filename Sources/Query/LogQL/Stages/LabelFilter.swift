package import Telemetry

/// `| status >= 500 and method = "GET"`: keeps lines by labels.
package indirect enum LabelFilter: Sendable, CustomStringConvertible {
    /// How a number compares.
    package enum Comparison: String, Sendable, CaseIterable {
        case equal = "=="
        case notEqual = "!="
        case greater = ">"
        case greaterOrEqual = ">="
        case less = "<"
        case lessOrEqual = "<="
    }

    /// The right side of a comparison of numbers.
    package enum Number: Sendable {
        case plain(Double)
        case duration(nanoseconds: Int64)
        case bytes(Int64)
    }

    case text(LabelMatcher)
    case number(label: String, Comparison, Number)
    /// `addr = ip("10.0.0.0/8")`.
    case address(label: String, isNegated: Bool, pattern: String)
    case and(LabelFilter, LabelFilter)
    case or(LabelFilter, LabelFilter)

    package var description: String {
        switch self {
        case .text(let matcher): return matcher.description
        case .number(let label, let comparison, let number): return "\(label) \(comparison.rawValue) \(number)"
        case .address(let label, let isNegated, let pattern):
            return "\(label) \(isNegated ? "!=" : "=") ip(\(QuotedText.quoted(pattern)))"
        case .and(let left, let right): return "( \(left) and \(right) )"
        case .or(let left, let right): return "( \(left) or \(right) )"
        }
    }
}

extension LabelFilter.Number: CustomStringConvertible {
    package var description: String {
        switch self {
        case .plain(let value): FloatText.plain(value)
        case .duration(let nanoseconds): Durations.go(nanoseconds: nanoseconds)
        case .bytes(let bytes): "\(bytes)B"
        }
    }
}

/// A label filter as a stage.
package struct LabelFilterStage: LogStage {
    package var filter: LabelFilter
    package var span: SourceSpan

    package var name: String { "label filter" }
    package var description: String { "| \(filter)" }
}
