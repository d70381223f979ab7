package import Telemetry

/// The syntax tree of a LogQL query. `description` is its canonical text, which parses to the same tree.
package indirect enum LogQLExpression: Sendable {
    /// A log query: the answer is lines.
    case lines(LogPipeline)
    case rangeAggregation(LogRangeAggregation)
    case vectorAggregation(LogVectorAggregation)
    case binary(LogBinary)
    case number(Double)
    /// `vector(5)`: one element without labels.
    case vector(Double)
    case labelReplace(LogLabelReplace)

    /// Whether the answer is numbers.
    package var isMetric: Bool {
        if case .lines = self { return false }
        return true
    }

    /// The number it is wherever it is evaluated; nil for what depends on lines.
    var literal: Double? {
        switch self {
        case .number(let value): return value
        case .binary(let node):
            guard let left = node.left.literal, let right = node.right.literal else { return nil }
            let isDivision = node.operation == .divide || node.operation == .modulo
            return isDivision && right == 0 ? .nan : Arithmetic.apply(node.operation, left, right)
        default: return nil
        }
    }

    /// Whether `sort` or `sort_desc` stands anywhere in it, so that the answer is in the order of evaluation.
    var isSorted: Bool {
        switch self {
        case .vectorAggregation(let node):
            node.function == .sort || node.function == .sortDescending || node.operand.isSorted
        case .binary(let node): node.left.isSorted || node.right.isSorted
        case .labelReplace(let node): node.operand.isSorted
        case .lines, .rangeAggregation, .number, .vector: false
        }
    }
}

/// A stream selector and what is done with each line, in order.
package struct LogPipeline: Sendable {
    package var matchers: [LabelMatcher]
    package var stages: [any LogStage]
    package var span: SourceSpan

    /// A pipeline.
    package init(matchers: [LabelMatcher], stages: [any LogStage] = [], span: SourceSpan = .none) {
        self.matchers = matchers
        self.stages = stages
        self.span = span
    }
}

/// `unwrap`: which label becomes the number, through which conversion, and filters behind it.
package struct LogUnwrap: Sendable {
    package var label: String
    /// `duration`, `duration_seconds`, `bytes`, or empty for a plain number.
    package var conversion: String
    package var filters: [LabelFilter]
}

/// The functions over a range of lines.
package enum LogRangeFunction: String, Sendable, CaseIterable {
    case rate
    case rateCounter = "rate_counter"
    case count = "count_over_time"
    case bytesRate = "bytes_rate"
    case bytes = "bytes_over_time"
    case average = "avg_over_time"
    case sum = "sum_over_time"
    case minimum = "min_over_time"
    case maximum = "max_over_time"
    case deviation = "stddev_over_time"
    case variance = "stdvar_over_time"
    case quantile = "quantile_over_time"
    case first = "first_over_time"
    case last = "last_over_time"
    case absent = "absent_over_time"

    /// Whether it needs `unwrap`, may have it, or must not.
    var takesUnwrap: Bool { !(self == .count || self == .bytes || self == .bytesRate) }
    /// Whether it measures lines.
    var isOfBytes: Bool { self == .bytes || self == .bytesRate }
    var needsUnwrap: Bool { takesUnwrap && self != .rate && self != .absent }
    /// Whether `by` and `without` may follow it.
    var takesGrouping: Bool {
        switch self {
        case .average, .deviation, .variance, .quantile, .maximum, .minimum, .first, .last: true
        default: false
        }
    }
}

/// A function over a range of lines: `count_over_time({app="a"} |= "x" [5m])`.
package struct LogRangeAggregation: Sendable {
    package var function: LogRangeFunction
    /// The rank of `quantile_over_time`.
    package var parameter: Double?
    package var pipeline: LogPipeline
    package var unwrap: LogUnwrap?
    package var windowNanoseconds: Int64
    package var offsetNanoseconds: Int64
    package var grouping: LogGrouping?
    package var span: SourceSpan
}

/// `by (…)` or `without (…)`.
package struct LogGrouping: Hashable, Sendable {
    package var labels: [String]
    package var isWithout: Bool
}

/// The functions over the series of a vector.
package enum LogVectorFunction: String, Sendable, CaseIterable {
    case sum
    case average = "avg"
    case count
    case maximum = "max"
    case minimum = "min"
    case deviation = "stddev"
    case variance = "stdvar"
    case bottomk
    case topk
    case approximateTopk = "approx_topk"
    case sort
    case sortDescending = "sort_desc"

    var takesParameter: Bool { self == .bottomk || self == .topk || self == .approximateTopk }
}

/// A function over the series of a vector: `sum by (app) (…)`.
package struct LogVectorAggregation: Sendable {
    package var function: LogVectorFunction
    /// The k of `topk` and its like.
    package var parameter: Double?
    package var operand: LogQLExpression
    package var grouping: LogGrouping?
    package var span: SourceSpan
}

/// An operator between two expressions.
package struct LogBinary: Sendable {
    package var operation: BinaryOperator
    package var left: LogQLExpression
    package var right: LogQLExpression
    package var returnsBool: Bool
    /// Nil when no `on`, `ignoring` or `group_*` was written.
    package var matching: VectorMatching?
    package var span: SourceSpan
}

/// `label_replace(v, "dst", "replacement", "src", "regex")`.
package struct LogLabelReplace: Sendable {
    package var operand: LogQLExpression
    package var destination: String
    package var replacement: String
    package var source: String
    package var pattern: String
    package var span: SourceSpan
}
