internal import TestSupport

/// Makes well-typed expressions of what Prometheus 2.42 knows, over the metrics of `DifferentialData`.
///
/// Left out is what version 3 answers otherwise on purpose: names taken from a regular expression (they are dropped at
/// the end of an evaluation now), sub-queries in sub-queries, whose points can lie exactly at the end of a range, and
/// `atan2` of vectors, which kept the name.
struct ExpressionGenerator {
    private typealias Expression = GeneratedExpression

    /// The old name of `double_exponential_smoothing`.
    static let smoothingBefore3 = "holt_winters"

    private var generator: SeededGenerator

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
    }

    /// An expression that may stand alone.
    mutating func next() -> GeneratedExpression {
        generator.oneIn(12) ? scalar(3) : vector(generator.int(in: 1..<5))
    }

    /// A time to ask for, half a second behind a whole one.
    mutating func milliseconds() -> Int64 {
        let second = generator.int(in: -120..<DifferentialData.spanSeconds + 500)
        return DifferentialData.startMilliseconds - 7 + Int64(second) * 1_000 + 500
    }

    /// The step and the number of steps of a range query.
    mutating func steps() -> (seconds: Int, count: Int) {
        (generator.pick([1, 7, 15, 60, 61, 300]), generator.int(in: 1..<30))
    }

    // MARK: Scalars

    private mutating func scalar(_ depth: Int) -> Expression {
        switch depth <= 0 ? 0 : generator.int(in: 0..<6) {
        case 1: return Expression(.scalar, "scalar(", .expression(vector(depth - 1)), ")")
        case 2: return Expression(.scalar, "time()")
        case 3:
            // No remainder: of a large number it shows the last digit of what it is divided by.
            let sign = generator.pick(["+", "-", "*", "/", "atan2", "== bool", "> bool", "<= bool"])
            return Expression(
                .scalar, "(", .expression(scalar(depth - 1)), .text(" \(sign) "), .expression(scalar(depth - 1)), ")")
        case 4: return Expression(.scalar, "-(", .expression(scalar(depth - 1)), ")")
        default: return Expression(.scalar, number())
        }
    }

    private mutating func number() -> String {
        generator.pick(["0", "1", "2", "0.5", "-1", "10", "3.25", "1e3", "0.9", "NaN", "Inf", "-Inf", "pi()"])
    }

    // MARK: Vectors

    private mutating func vector(_ depth: Int) -> Expression {
        guard depth > 0 else { return selector() }
        switch generator.int(in: 0..<20) {
        case 0..<5: return window(depth)
        case 5..<8: return aggregation(depth)
        case 8..<12: return binary(depth)
        case 12..<15: return perSample(depth)
        case 15: return Expression(.vector, "vector(", .expression(scalar(depth - 1)), ")")
        case 16: return Expression(.vector, "-", .expression(selector()))
        case 17: return labelFunction(depth)
        case 18: return quantileOfHistogram(depth)
        default: return absence(depth)
        }
    }

    private mutating func selector() -> Expression {
        Expression(.vector, series() + modifiers())
    }

    private mutating func series() -> String {
        let metric = generator.pick(DifferentialData.metrics)
        let matcher = generator.pick([
            "", "", "", #"{job="a"}"#, #"{job!="a"}"#, #"{instance=~"i0|i2"}"#, #"{instance!~"i1"}"#, #"{zone="x"}"#,
            #"{kind=~"n.*"}"#, #"{le="+Inf"}"#, #"{job=""}"#, #"{nothing=""}"#,
        ])
        return metric + matcher
    }

    private mutating func modifiers() -> String {
        var text = ""
        switch generator.int(in: 0..<16) {
        case 0: text += " @ \(Double(milliseconds()) / 1_000)"
        case 1: text += generator.pick([" @ start()", " @ end()"])
        default: break
        }
        if generator.oneIn(6) { text += generator.pick([" offset 1m", " offset 7m30s", " offset -90s", " offset 1s"]) }
        return text
    }

    private mutating func matrix(_ depth: Int) -> Expression {
        let range = generator.pick(["30s", "1m", "3m", "5m", "5m", "17m", "1h"])
        if depth > 0, generator.oneIn(3) {
            let step = generator.pick(["", "15s", "47s", "2m"])
            return Expression(
                .matrix, "(", .expression(plainVector(depth - 1)), .text(")[\(range):\(step)]\(modifiers())"))
        }
        return Expression(.matrix, "\(series())[\(range)]\(modifiers())")
    }

    /// A vector that has no sub-query in it.
    private mutating func plainVector(_ depth: Int) -> Expression {
        switch generator.int(in: 0..<4) {
        case 0: return aggregation(of: selector())
        case 1: return Expression(.vector, "irate(", .expression(matrix(0)), ")")
        case 2: return Expression(.vector, .expression(selector()), " > ", .text(number()))
        default: return selector()
        }
    }

    private mutating func window(_ depth: Int) -> Expression {
        let range = Expression.Part.expression(matrix(depth - 1))
        switch generator.int(in: 0..<8) {
        case 3:
            // Near zero and behind a gap, version 3 extrapolates otherwise: only counters that are never there.
            let counter = generator.pick(["total", #"total{job="a"}"#, "hist_bucket", #"hist_bucket{le="1"}"#])
            let range = generator.pick(["1m", "3m", "5m", "17m", "1h"])
            let name = generator.pick(["rate", "increase"])
            return Expression(.vector, .text("\(name)(\(counter)[\(range)]\(modifiers()))"))
        case 2: return Expression(.vector, .text("\(Self.smoothingBefore3)("), range, ", 0.5, 0.25)")
        case 0:
            guard generator.oneIn(2) else {
                return Expression(.vector, .text("quantile_over_time(\(number()), "), range, ")")
            }
            let plain = Expression.Part.text(", \(series())[5m] offset 1m)")
            return Expression(.vector, "quantile_over_time(", .expression(scalar(depth - 2)), plain)
        case 1:
            // Where the answer depends on the step, version 2 looks with @ at another range on each.
            let seconds = generator.pick(["60", "-30", "3600"])
            return Expression(.vector, .text("predict_linear(\(series())[5m] offset 1m, \(seconds))"))
        default:
            let name = generator.pick([
                "delta", "idelta", "irate", "deriv", "changes", "resets", "avg_over_time",
                "min_over_time", "max_over_time", "sum_over_time", "count_over_time", "last_over_time",
                "stddev_over_time", "stdvar_over_time", "present_over_time", "absent_over_time",
            ])
            return Expression(.vector, .text("\(name)("), range, ")")
        }
    }

    private mutating func perSample(_ depth: Int) -> Expression {
        let inner = Expression.Part.expression(vector(depth - 1))
        switch generator.int(in: 0..<7) {
        case 0:
            return Expression(
                .vector, .text(generator.pick(["clamp_min(", "clamp_max(", "round("])), inner, ", ",
                .expression(scalar(depth - 2)), ")")
        case 1:
            return Expression(
                .vector, "clamp(", inner, ", ", .expression(scalar(depth - 2)), ", ", .expression(scalar(depth - 2)),
                ")")
        case 2:
            let name = generator.pick([
                "minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year",
            ])
            // What Go makes of the year of infinity depends on the processor.
            let times = generator.pick(["g", "total", "few * 1e7", "timestamp(info)", "-rank * 1e5", "gone offset 5m"])
            return Expression(.vector, .text("\(name)(\(times))"))
        case 3: return Expression(.vector, .text(generator.pick(["sort(", "sort_desc("])), inner, ")")
        case 4:
            // With @ an offset is lost, still in version 3.
            let modifier = generator.pick(["", " offset 1m", " @ end()"])
            return Expression(.vector, .text("timestamp(\(series())\(modifier))"))
        default:
            let name = generator.pick([
                "abs", "ceil", "floor", "exp", "ln", "log2", "log10", "sqrt", "sgn", "deg", "rad", "sin", "cos", "tan",
                "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "round",
            ])
            return Expression(.vector, .text("\(name)("), inner, ")")
        }
    }

    private mutating func labelFunction(_ depth: Int) -> Expression {
        let call = generator.pick([
            #", "to", "$1-x", "instance", "i(.)")"#, #", "job", "", "job", ".*")"#, #", "zone", "all", "nothing", "")"#,
            #", "instance", "${1}", "le", "(.*)")"#,
        ])
        if generator.oneIn(2) {
            return Expression(.vector, "label_replace(", .expression(vector(depth - 1)), .text(call))
        }
        return Expression(
            .vector, "label_join(", .expression(vector(depth - 1)),
            .text(generator.pick([#", "to", "-", "job", "instance")"#, #", "job", ",", "zone", "nothing")"#])))
    }

    private mutating func quantileOfHistogram(_ depth: Int) -> Expression {
        let buckets = generator.pick([
            "hist_bucket", "rate(hist_bucket[5m])", "sum by (le) (rate(hist_bucket[3m]))",
            "sum by (job, le) (increase(hist_bucket[10m]))", #"hist_bucket{job="a"}"#,
        ])
        return Expression(.vector, "histogram_quantile(", .expression(scalar(depth - 2)), .text(", \(buckets))"))
    }

    private mutating func absence(_ depth: Int) -> Expression {
        Expression(.vector, "absent(", .expression(generator.oneIn(2) ? selector() : vector(depth - 1)), ")")
    }

    // MARK: Aggregations and operators

    private mutating func aggregation(_ depth: Int) -> Expression { aggregation(of: vector(depth - 1)) }

    private mutating func aggregation(of inner: Expression) -> Expression {
        let clause = generator.pick([
            "", " by (job)", " by (instance, job)", " by (nothing)", " without (instance)", " without (le, zone)",
            " by (kind)", " without ()", " by (le)",
        ])
        switch generator.int(in: 0..<7) {
        case 6:
            // The deviation of one infinity is 0 in version 2 and NaN in version 3.
            let finite = generator.pick(["g", "other", "total / 4", "few", "gone offset 1m", "-rank"])
            return Expression(.vector, .text("\(generator.pick(["stddev", "stdvar"]))\(clause) (\(finite))"))
        case 0:
            let name = generator.pick(["topk", "bottomk"])
            // Of equal values either may be chosen: only these are never equal.
            let ranked = generator.pick(["rank", "-rank", "rank / 3", "max_over_time(rank[3m])"])
            return Expression(.vector, .text("\(name)\(clause) (\(generator.int(in: 0..<4)), \(ranked))"))
        case 1:
            // Version 2 takes the rank of the first step for all.
            return Expression(.vector, .text("quantile\(clause) (\(number()), "), .expression(inner), ")")
        case 2:
            // The text of a value shows its last digit: only exact ones.
            return Expression(.vector, .text("count_values\(clause) (\"v\", "), .expression(selector()), ")")
        default:
            let name = generator.pick(["sum", "avg", "min", "max", "count", "group"])
            return Expression(.vector, .text("\(name)\(clause) ("), .expression(inner), ")")
        }
    }

    private mutating func binary(_ depth: Int) -> Expression {
        let comparison = generator.pick(["==", "!=", ">", "<", ">=", "<="])
        let arithmetic = generator.pick(["+", "-", "*", "/", "%", "^"])
        let sign = generator.oneIn(2) ? arithmetic : comparison + (generator.oneIn(2) ? " bool" : "")
        switch generator.int(in: 0..<6) {
        case 0:
            return Expression(
                .vector, "(", .expression(vector(depth - 1)), .text(" \(sign) "), .expression(scalar(depth - 2)), ")")
        case 1:
            return Expression(
                .vector, "(", .expression(scalar(depth - 2)), .text(" \(sign) "), .expression(vector(depth - 1)), ")")
        case 2:
            let set = generator.pick(["and", "or", "unless"])
            return joined(depth, set + generator.pick(["", "", " on (job)", " ignoring (zone)", " on ()"]))
        case 3:
            let group = generator.pick([
                " on (job) group_left ", " on (job) group_right ", " ignoring (zone, version) group_left () ",
                " on (job, instance) group_left (version) ", " on (job, instance) group_right (zone) ",
            ])
            return joined(depth, sign + group)
        default:
            // Version 2 does not mind two partners where the comparison holds for one of them at most.
            let isFilter = comparison == sign
            let match =
                isFilter
                ? ""
                : generator.pick([
                    "", "", " on (job, instance)", " ignoring (zone)", " on (job)", " ignoring (version, zone, le)",
                ])
            return joined(depth, sign + match)
        }
    }

    private mutating func joined(_ depth: Int, _ sign: String) -> Expression {
        Expression(
            .vector, "(", .expression(vector(depth - 1)), .text(" \(sign) "), .expression(vector(depth - 1)), ")")
    }
}
