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
    case address(label: String, isNegated: Bool, AddressMatcher, pattern: String)
    case and(LabelFilter, LabelFilter)
    case or(LabelFilter, LabelFilter)

    package var description: String {
        switch self {
        case .text(let matcher): return matcher.description
        case .number(let label, let comparison, let number): return "\(label) \(comparison.rawValue) \(number)"
        case .address(let label, let isNegated, _, let pattern):
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
package struct LabelFilterStage: LineProcessing {
    package var filter: LabelFilter
    package var span: SourceSpan

    package var name: String { "label filter" }
    package var description: String { "| \(filter)" }

    func process(_ line: inout PipelineLine) -> Bool { filter.keeps(&line.labels) }
}

extension LabelFilter {
    /// Whether a line with these labels stays. A field that is no number is noted as the line's error, and the line
    /// stays; the first error counts.
    func keeps(_ labels: inout LineLabels) -> Bool {
        switch self {
        case .text(let matcher): return matcher.matches(labels.text(matcher.name))
        case .number(let label, let comparison, let number):
            guard let text = labels[label] else { return false }
            do throws(FieldNumber.Failure) {
                return comparison.holds(try number.read(text), number.value)
            } catch {
                if labels.error.isEmpty { labels.fail(LineError.labelFilter, error.message) }
                return true
            }
        case .address(let label, let isNegated, let matcher, _):
            // Of all filters this one alone lets every failed line through.
            if !labels.error.isEmpty { return true }
            guard var text = labels[label] else { return false }
            return text.withUTF8 { matcher.matches(UnsafeRawBufferPointer($0)) } != isNegated
        case .and(let left, let right):
            // Both are asked, because either may note an error.
            let holds = left.keeps(&labels)
            return right.keeps(&labels) && holds
        case .or(let left, let right): return left.keeps(&labels) || right.keeps(&labels)
        }
    }

    /// The severities that a line which passes can have; nil where the filter says nothing of them.
    var severities: SeveritySet? {
        switch self {
        case .text(let matcher): return matcher.name == LineLevel.label ? SeveritySet { matcher.matches($0) } : nil
        case .number, .address: return nil
        case .and(let left, let right):
            guard let left = left.severities, let right = right.severities else {
                return left.severities ?? right.severities
            }
            return left.intersection(right)
        case .or(let left, let right):
            guard let left = left.severities, let right = right.severities else { return nil }
            return left.union(right)
        }
    }

    /// The labels it looks at.
    var names: [String] {
        switch self {
        case .text(let matcher): [matcher.name]
        case .number(let label, _, _), .address(let label, _, _, _): [label]
        case .and(let left, let right), .or(let left, let right): left.names + right.names
        }
    }
}

extension LabelFilter.Number {
    /// The number in seconds, bytes or as it is, as far as comparing goes.
    var value: Double {
        switch self {
        case .plain(let value): value
        case .duration(let nanoseconds): Double(nanoseconds)
        case .bytes(let bytes): Double(bytes)
        }
    }

    /// A field's text as a number of the same kind.
    func read(_ text: String) throws(FieldNumber.Failure) -> Double {
        switch self {
        case .plain: try FieldNumber.plain(text)
        case .duration: Double(try FieldNumber.nanoseconds(text))
        case .bytes: try FieldNumber.bytes(text)
        }
    }
}

extension LabelFilter.Comparison {
    func holds(_ left: Double, _ right: Double) -> Bool {
        switch self {
        case .equal: left == right
        case .notEqual: left != right
        case .greater: left > right
        case .greaterOrEqual: left >= right
        case .less: left < right
        case .lessOrEqual: left <= right
        }
    }
}
