internal import Glibc
internal import Telemetry

/// Functions of instant vectors that look at each number by itself.
extension Functions {
    static let sampleFunctions: [Function] = [
        Function("abs", [.vector], .perSample { abs($0) }),
        Function("ceil", [.vector], .perSample { ceil($0) }),
        Function("floor", [.vector], .perSample { floor($0) }),
        Function("exp", [.vector], .perSample { exp($0) }),
        Function("sqrt", [.vector], .perSample { $0.squareRoot() }),
        Function("ln", [.vector], .perSample { log($0) }),
        Function("log2", [.vector], .perSample { log2($0) }),
        Function("log10", [.vector], .perSample { log10($0) }),
        Function("sgn", [.vector], .perSample { $0 < 0 ? -1 : $0 > 0 ? 1 : $0 }),
        Function("sin", [.vector], .perSample { sin($0) }),
        Function("cos", [.vector], .perSample { cos($0) }),
        Function("tan", [.vector], .perSample { tan($0) }),
        Function("asin", [.vector], .perSample { asin($0) }),
        Function("acos", [.vector], .perSample { acos($0) }),
        Function("atan", [.vector], .perSample { atan($0) }),
        Function("sinh", [.vector], .perSample { sinh($0) }),
        Function("cosh", [.vector], .perSample { cosh($0) }),
        Function("tanh", [.vector], .perSample { tanh($0) }),
        Function("asinh", [.vector], .perSample { asinh($0) }),
        Function("acosh", [.vector], .perSample { acosh($0) }),
        Function("atanh", [.vector], .perSample { atanh($0) }),
        Function("rad", [.vector], .perSample { $0 * .pi / 180 }),
        Function("deg", [.vector], .perSample { $0 * 180 / .pi }),
        Function("round", [.vector, .scalar], variadic: 1, .general(round)),
        Function("clamp", [.vector, .scalar, .scalar], .general { try clamp($0, $1, lower: 1, upper: 2) }),
        Function("clamp_min", [.vector, .scalar], .general { try clamp($0, $1, lower: 1, upper: nil) }),
        Function("clamp_max", [.vector, .scalar], .general { try clamp($0, $1, lower: nil, upper: 1) }),
        Function("timestamp", [.vector], readsSampleTimes: true, .general(timestamp)),
        Function("start_timestamp", [.vector], readsSampleTimes: true, .general(startTimestamp)),
    ]

    /// To the nearest multiple of the second argument, ties upwards.
    @Sendable private static func round(_ evaluator: Evaluator, _ call: Call) throws -> Evaluated {
        let columns = try evaluator.vector(call.arguments[0])
        let nearest = call.arguments.count > 1 ? try evaluator.scalar(call.arguments[1]) : []
        return .vector(
            evaluator.mapNumbers(columns) { step, value in
                // Multiplying by the inverse costs less accuracy than dividing.
                let inverse = nearest.isEmpty ? 1 : 1 / nearest[step]
                return Glibc.floor(value * inverse + 0.5) / inverse
            })
    }

    private static func clamp(
        _ evaluator: Evaluator, _ call: Call, lower: Int?, upper: Int?
    ) throws -> Evaluated {
        let columns = try evaluator.vector(call.arguments[0])
        let lowest = try lower.map { try evaluator.scalar(call.arguments[$0]) }
        let highest = try upper.map { try evaluator.scalar(call.arguments[$0]) }
        let clamped = evaluator.mapNumbers(columns) { step, value in
            let low = lowest?[step] ?? -.infinity
            let high = highest?[step] ?? .infinity
            return high < low ? SeriesColumn.absent : larger(low, smaller(high, value))
        }
        return .vector(clamped.filter { !$0.isEmpty })
    }

    /// As Go's `math.Min`: a NaN on either side is the result.
    static func smaller(_ left: Double, _ right: Double) -> Double {
        if left == -.infinity || right == -.infinity { return -.infinity }
        return left.isNaN || right.isNaN ? .nan : min(left, right)
    }

    /// As Go's `math.Max`: a NaN on either side is the result.
    static func larger(_ left: Double, _ right: Double) -> Double {
        if left == .infinity || right == .infinity { return .infinity }
        return left.isNaN || right.isNaN ? .nan : max(left, right)
    }

    /// When the samples of a selector were taken; the time of evaluation for any other vector.
    @Sendable private static func timestamp(_ evaluator: Evaluator, _ call: Call) throws -> Evaluated {
        if case .vector(let selector) = call.arguments[0], selector.extent == nil {
            return .vector(try evaluator.latest(selector, .time).map { $0.withoutName })
        }
        var columns = try evaluator.vector(call.arguments[0])
        for index in columns.indices {
            for step in columns[index].values.indices where columns[index].isPresent(at: step) {
                columns[index].values[step] = Double(evaluator.times[step]) / 1000
            }
            columns[index].histograms = []
            columns[index].dropsName = true
        }
        return .vector(columns)
    }

    /// When the counters of a selector began, where their senders said so; nothing for any other vector.
    @Sendable private static func startTimestamp(_ evaluator: Evaluator, _ call: Call) throws -> Evaluated {
        guard case .vector(let selector) = call.arguments[0], evaluator.options.usesStartTimestamps else {
            return .vector([])
        }
        return .vector(try evaluator.latest(selector, .startTime).map { $0.withoutName })
    }
}

extension SeriesColumn {
    /// The same column, its name to be dropped.
    var withoutName: SeriesColumn {
        var column = self
        column.dropsName = true
        return column
    }
}
