internal import Telemetry

/// Evaluates a prepared expression over all steps at once, series by series.
struct Evaluator {
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
    /// Within a sub-query samples are left out and repeated, so that a predecessor says nothing.
    var isInSubquery = false

    /// Whether the order of the answer is the caller's to choose: only at a single time.
    var isInstant: Bool { times.count == 1 }

    /// The value of `expression` at every step.
    func evaluate(_ expression: Expression) throws -> Evaluated {
        try context.check()
        if times.count > 1, !expression.isLiteral, expression.isStepInvariant {
            var single = self
            single.times = StepTimes(at: times.startMilliseconds)
            return try single.evaluate(expression).repeated(times.count)
        }
        switch expression {
        case .number(let literal): return .scalar([Double](repeating: literal.value, count: times.count))
        case .string(let literal): return .string(literal.value)
        case .vector(let selector): return .vector(try instantVector(selector))
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
            for index in columns.indices {
                columns[index].dropsName = true
                for step in columns[index].values.indices where columns[index].hasNumber(at: step) {
                    columns[index].values[step] = -columns[index].values[step]
                }
                columns[index].histograms = columns[index].histograms.map { $0?.multiplied(by: -1) }
            }
            return .vector(columns)
        }
    }

    private func call(_ node: Call) throws -> Evaluated {
        switch node.function.code {
        case .perSample(let transform):
            return .vector(mapNumbers(try vector(node.arguments[0])) { _, value in transform(value) })
        case .window(let function): return .vector(try windows(function, node))
        case .general(let evaluate): return try evaluate(self, node)
        case .queryBounds: return .scalar([Double](repeating: .nan, count: times.count))
        }
    }

    /// Applies `transform` to every number; histograms are left out and the metric's name no longer fits.
    func mapNumbers(
        _ columns: [SeriesColumn], _ transform: (Int, Double) throws -> Double
    ) rethrows -> [SeriesColumn] {
        var result: [SeriesColumn] = []
        result.reserveCapacity(columns.count)
        for var column in columns {
            column.histograms = []
            column.dropsName = true
            var isEmpty = true
            for step in column.values.indices where column.hasNumber(at: step) {
                column.values[step] = try transform(step, column.values[step])
                isEmpty = false
            }
            if !isEmpty { result.append(column) }
        }
        return result
    }

    // MARK: Errors and remarks

    /// Adds a warning with its place in the query.
    func warn(_ message: String, at span: SourceSpan) {
        context.warn("PromQL warning: \(message) \(placeText(span))")
    }

    /// Adds a remark with its place in the query.
    func inform(_ message: String, at span: SourceSpan) {
        context.inform("PromQL info: \(message) \(placeText(span))")
    }

    private func placeText(_ span: SourceSpan) -> String {
        let place = SourceSpan.place(of: span.start, in: text)
        return "(\(place.line):\(place.column))"
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
