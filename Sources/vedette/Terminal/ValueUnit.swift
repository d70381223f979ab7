internal import Query
internal import Telemetry

/// What the numbers of an answer measure, as far as names and functions tell, so that people read 1.5Gi instead of
/// 1610612736. When in doubt it is a plain number: a wrong unit is worse than none.
enum ValueUnit: Equatable {
    case number
    case bytes
    case bytesPerSecond
    case seconds
    /// Seconds since 1970.
    case time
    /// A share of 1.
    case ratio

    /// The unit of a metric by its name (prometheus.io/docs/practices/naming).
    init(metric name: String) {
        var base = name[...]
        for ending in ["_total", "_bucket", "_sum"] where base.hasSuffix(ending) { base = base.dropLast(ending.count) }
        self =
            if base.hasSuffix("_timestamp_seconds") || base.hasSuffix("_time_seconds") {
                .time
            } else if base.hasSuffix("_bytes") {
                .bytes
            } else if base.hasSuffix("_seconds") {
                .seconds
            } else if base.hasSuffix("_ratio") {
                .ratio
            } else {
                .number
            }
    }

    /// The unit of an expression's answer.
    init(_ expression: Expression) {
        switch expression {
        case .vector(let selector): self = ValueUnit(metric: selector.name)
        case .matrix(let matrix): self = ValueUnit(metric: matrix.selector.name)
        case .subquery(let node): self = ValueUnit(node.inner)
        case .parenthesis(let node): self = ValueUnit(node.inner)
        case .unary(let node): self = ValueUnit(node.operand)
        case .aggregation(let node): self = ValueUnit.unit(of: node)
        case .call(let node): self = ValueUnit.unit(of: node)
        case .binary(let node): self = ValueUnit.unit(of: node)
        case .number, .string, .logs: self = .number
        }
    }

    private static func unit(of node: Aggregation) -> ValueUnit {
        switch node.operation {
        case .count, .group, .countValues, .stdvar: .number
        default: ValueUnit(node.operand)
        }
    }

    private static let preserving: Set<String> = [
        "abs", "ceil", "floor", "round", "clamp", "clamp_max", "clamp_min", "sort", "sort_desc", "sort_by_label",
        "sort_by_label_desc", "label_replace", "label_join", "delta", "idelta", "increase", "avg_over_time",
        "min_over_time", "max_over_time", "sum_over_time", "last_over_time", "first_over_time", "quantile_over_time",
        "stddev_over_time", "predict_linear", "histogram_quantile", "histogram_avg", "scalar", "vector",
    ]

    private static func unit(of node: Call) -> ValueUnit {
        let inner = node.arguments.first { $0.type == .vector || $0.type == .matrix }.map { ValueUnit($0) } ?? .number
        switch node.function.name {
        case "time", "timestamp": return .time
        case "rate", "irate", "deriv": return inner == .bytes ? .bytesPerSecond : .number
        case let name where preserving.contains(name):
            return inner == .time && name != "max_over_time" ? .number : inner
        default: return .number
        }
    }

    private static func unit(of node: BinaryExpression) -> ValueUnit {
        let (left, right) = (ValueUnit(node.left), ValueUnit(node.right))
        switch node.operation {
        case .add, .subtract:
            // The difference of two times is a duration.
            if left == .time && right == .time { return .seconds }
            return left == right || node.right.type == .scalar ? left : .number
        case .multiply where node.right.type == .scalar: return .number
        case .add where node.left.type == .scalar: return right
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual: return node.returnsBool ? .number : left
        case .and, .unless, .or: return left
        default: return .number
        }
    }

    /// A number in this unit.
    func text(_ value: Double) -> String {
        guard value.isFinite else { return FloatText.plain(value) }
        switch self {
        case .number: return ValueUnit.short(value)
        case .bytes: return value.magnitude < 1024 ? "\(ValueUnit.short(value))B" : Humanize.binary(value) + "B"
        case .bytesPerSecond: return ValueUnit.bytes.text(value) + "/s"
        case .seconds: return Humanize.duration(seconds: value)
        case .time: return value.magnitude < 4e9 ? Timestamps.rfc3339(milliseconds: Int64(value * 1000)) : "\(value)"
        case .ratio: return ValueUnit.short(value * 100) + "%"
        }
    }

    /// At most four digits behind the point; whole numbers stay whole, tiny ones get an exponent.
    private static func short(_ value: Double) -> String {
        if value != 0, value.magnitude < 1e-4 { return GoFloat.format(value, "g", precision: 4) }
        return FloatText.plain(value.magnitude < 1e9 ? (value * 10_000).rounded() / 10_000 : value)
    }
}
