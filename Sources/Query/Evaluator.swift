internal import Telemetry

/// Evaluates a prepared expression over all steps at once, series by series.
struct Evaluator: Sendable {
    let source: any SeriesSource
    /// For `logs(…)`; nil where there is no log store.
    var logSource: (any LogSource)?
    let options: Engine.Options
    let context: QueryContext
    /// The query's text, for the places that warnings name.
    let text: [UInt8]
    var times: StepTimes
    /// Whether histograms without a word about resets are compared with their predecessors as they are read.
    var detectsResets = false
    /// Whether only the presence of the selected series matters, as where they are counted.
    var readsOnlyPresence = false
    /// Within a sub-query samples are left out and repeated, so that a predecessor says nothing.
    var isInSubquery = false
    /// Takes down what each step costs, where somebody wants to know.
    var profile: QueryProfile?
    /// Counts what each step looked at, where somebody wants to know.
    var stepSamples: StepSamples?

    /// Whether the order of the answer is the caller's to choose: only at a single time.
    var isInstant: Bool { times.count == 1 }

    /// The value of `expression` at every step.
    func evaluate(_ expression: Expression) throws -> Evaluated {
        try context.check()
        guard let profile, !expression.isLiteral else { return try value(of: expression) }
        return try profile.record(expression, in: context) { try value(of: expression) }
    }

    private func value(of expression: Expression) throws -> Evaluated {
        if times.count > 1, !expression.isLiteral, expression.isStepInvariant {
            return try evaluatedOnce(expression)
        }
        if expression.type == .vector, canStream(expression) { return .vector(try collected(series(of: expression))) }
        switch expression {
        case .number(let literal): return .scalar([Double](repeating: literal.value, count: times.count))
        case .string(let literal): return .string(literal.value)
        case .vector(let selector): return .vector(try smoothed(selector))
        case .matrix, .subquery:
            throw QueryError(.execution, "a range vector cannot be evaluated by itself over several steps")
        case .parenthesis(let node): return try evaluate(node.inner)
        case .unary(let node): return try unary(node)
        case .binary(let node): return try binary(node)
        case .aggregation(let node): return try aggregation(node)
        case .call(let node): return try call(node)
        case .logs(let node): return try logs(node)
        }
    }

    /// The value of an expression that is the same at every step.
    private func evaluatedOnce(_ expression: Expression) throws -> Evaluated {
        var single = self
        single.times = StepTimes(at: times.startMilliseconds)
        single.stepSamples = stepSamples.map { _ in StepSamples(steps: 1) }
        let value = try single.value(of: expression)
        if let counted = single.stepSamples?.values.first { stepSamples?.addToAll(counted) }
        if case .vector(let columns) = value {
            try context.reserve(columns.count * times.count * 8, samples: columns.count * times.count)
        }
        return value.repeated(times.count)
    }

    /// The series of an expression that is known to be a vector.
    func vector(_ expression: Expression) throws -> [SeriesColumn] {
        guard case .vector(let columns) = try evaluate(expression) else { return [] }
        return columns
    }

    /// The numbers of an expression that is known to be a scalar.
    func scalar(_ expression: Expression) throws -> [Double] {
        guard case .scalar(let values) = try evaluate(expression) else {
            return [Double](repeating: .nan, count: times.count)
        }
        return values
    }

    /// The text of an expression that is known to be a string.
    func string(_ expression: Expression) -> String {
        guard case .string(let literal) = expression.unwrapped else { return "" }
        return literal.value
    }

    private func unary(_ node: UnaryExpression) throws -> Evaluated {
        let operand = try evaluate(node.operand)
        guard node.isNegation else { return operand }
        switch operand {
        case .scalar(let values): return .scalar(values.map { -$0 })
        case .string: return operand
        case .vector(var columns):
            for index in columns.indices { _ = columns[index].negate() }
            return .vector(columns)
        }
    }

    private func call(_ node: Call) throws -> Evaluated {
        switch node.function.code {
        case .perSample(let transform):
            return .vector(mapNumbers(try vector(node.arguments[0])) { _, value in transform(value) })
        case .window(let function): return .vector(try collected(windowStream(function, node)))
        case .general(let evaluate): return try evaluate(self, node)
        case .queryBounds: return .scalar([Double](repeating: .nan, count: times.count))
        }
    }

    /// Applies `transform` to every number; histograms are left out and the metric's name no longer fits.
    func mapNumbers(
        _ columns: consuming [SeriesColumn], _ transform: (Int, Double) throws -> Double
    ) rethrows -> [SeriesColumn] {
        var columns = columns
        var kept = 0
        for index in columns.indices where try columns[index].mapNumbers(transform) {
            columns.swapAt(kept, index)
            kept += 1
        }
        columns.removeLast(columns.count - kept)
        return columns
    }

    // MARK: Errors and remarks

    /// Adds a warning with its place in the query.
    func warn(_ message: String, at span: SourceSpan) {
        context.warn("PromQL warning: \(message)", place: placeText(span))
    }

    /// Adds a remark with its place in the query.
    func inform(_ message: String, at span: SourceSpan) {
        context.inform("PromQL info: \(message)", place: placeText(span))
    }

    private func placeText(_ span: SourceSpan) -> String {
        let place = SourceSpan.place(of: span.start, in: text)
        return "(\(place.line):\(place.column))"
    }
}

extension SeriesColumn {
    /// Applies `transform` to every number and drops histograms; false when nothing is left.
    mutating func mapNumbers(_ transform: (Int, Double) throws -> Double) rethrows -> Bool {
        histograms = []
        dropsName = true
        var isEmpty = true
        for step in values.indices where hasNumber(at: step) {
            values[step] = try transform(step, values[step])
            isEmpty = false
        }
        return !isEmpty
    }

    /// The negative of every number and histogram; always true, for streams.
    mutating func negate() -> Bool {
        dropsName = true
        for step in values.indices where hasNumber(at: step) { values[step] = -values[step] }
        if !histograms.isEmpty { histograms = histograms.map { $0?.multiplied(by: -1) } }
        return true
    }
}

extension Evaluated {
    /// A value of one step at each of `count` steps.
    func repeated(_ count: Int) -> Evaluated {
        switch self {
        case .scalar(let values): return .scalar([Double](repeating: values[0], count: count))
        case .string: return self
        case .vector(let columns):
            return .vector(
                columns.map { column in
                    var wide = column
                    wide.values = [Double](repeating: column.values[0], count: count)
                    if !column.histograms.isEmpty {
                        wide.histograms = [NativeHistogram?](repeating: column.histograms[0], count: count)
                    }
                    return wide
                })
        }
    }
}

extension Expression {
    var isLiteral: Bool {
        switch self {
        case .number, .string: true
        default: false
        }
    }

    /// Whether it has the same value at every step, because all it selects is pinned by `@`.
    var isStepInvariant: Bool {
        switch self {
        case .number, .string: return true
        case .logs: return false
        case .vector(let selector): return selector.modifiers.at != nil
        case .matrix(let matrix): return matrix.selector.modifiers.at != nil
        case .subquery(let subquery): return subquery.modifiers.at != nil
        case .call(let call):
            if case .vector(let selector)? = call.arguments.first, call.function.readsSampleTimes {
                return selector.modifiers.at != nil
            }
            return !call.function.dependsOnTime && call.arguments.allSatisfy(\.isStepInvariant)
        default: return children.allSatisfy(\.isStepInvariant)
        }
    }
}
