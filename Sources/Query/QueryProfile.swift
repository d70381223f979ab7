internal import Synchronization
internal import Telemetry

/// How a query was evaluated: the steps of its plan with what each cost, and how many samples each time looked at.
/// Filled while an engine that carries it evaluates one query.
package final class QueryProfile: Sendable {
    /// A step of the plan: one node of the expression.
    package struct Step: Sendable {
        /// How many steps it is below the first.
        package var depth: Int
        /// The node, its arguments left out: `sum by (job) (…)`.
        package var text: String
        /// Whether its series were computed one by one for the step above, whose figures include its own then.
        package var isStreamed: Bool
        /// The series it came to, 0 for a number.
        package var series = 0
        /// From its beginning to its end, steps below included.
        package var nanoseconds: Int64 = 0
        package var samplesDecoded = 0
        package var chunksDecoded = 0
        /// Chunks whose headers answered for them.
        package var chunksSkipped = 0
    }

    private struct State {
        var steps: [Step] = []
        var depth = 0
        var preparation: Int64 = 0
        var result: Int64 = 0
        var times: [Int64] = []
        var samples: StepSamples?
    }

    private let state = Mutex(State())

    /// An empty profile.
    package init() {}

    /// The plan in the order of evaluation, each step before those below it.
    package var steps: [Step] { state.withLock { $0.steps } }
    /// Reading the text and settling what depends on the query's own times.
    package var preparationNanoseconds: Int64 { state.withLock { $0.preparation } }
    /// Putting the series in order and making points of them.
    package var resultNanoseconds: Int64 { state.withLock { $0.result } }

    /// The samples that each time of evaluation looked at, a histogram counted for its size, as Prometheus does.
    package var samplesByTime: [(milliseconds: Int64, count: Int)] {
        state.withLock { state in zip(state.times, state.samples?.values ?? []).map { ($0, $1) } }
    }

    func begin(preparation nanoseconds: Int64, times: StepTimes) -> StepSamples {
        let samples = StepSamples(steps: times.count)
        state.withLock { state in
            state.preparation = nanoseconds
            state.times = (0..<times.count).map { times[$0] }
            state.samples = samples
        }
        return samples
    }

    func end(result nanoseconds: Int64) { state.withLock { $0.result = nanoseconds } }

    /// Runs `body` as a step of the plan and writes down what it cost.
    func record(_ expression: Expression, in context: QueryContext, _ body: () throws -> Evaluated) throws -> Evaluated
    {
        let (start, before) = (context.nowNanoseconds, context.statistics)
        let place = enter(expression, isStreamed: false)
        defer { state.withLock { $0.depth -= 1 } }
        let value = try body()
        let (nanoseconds, after) = (context.nowNanoseconds - start, context.statistics)
        state.withLock { state in
            state.steps[place].nanoseconds = nanoseconds
            state.steps[place].samplesDecoded = after.samplesDecoded - before.samplesDecoded
            state.steps[place].chunksDecoded = after.chunksDecoded - before.chunksDecoded
            state.steps[place].chunksSkipped = after.chunksSkipped - before.chunksSkipped
            if case .vector(let columns) = value { state.steps[place].series = columns.count }
        }
        return value
    }

    /// As `record`, for a step whose series come one by one afterwards.
    func recordStream(_ expression: Expression, _ body: () throws -> ColumnStream) throws -> ColumnStream {
        let place = enter(expression, isStreamed: true)
        defer { state.withLock { $0.depth -= 1 } }
        let stream = try body()
        state.withLock { $0.steps[place].series = stream.count }
        return stream
    }

    private func enter(_ expression: Expression, isStreamed: Bool) -> Int {
        state.withLock { state in
            state.steps.append(Step(depth: state.depth, text: expression.stepText, isStreamed: isStreamed))
            state.depth += 1
            return state.steps.count - 1
        }
    }
}

extension Expression {
    /// The node without what is below it.
    fileprivate var stepText: String {
        switch self {
        case .number, .string, .vector, .matrix, .logs: return description
        case .subquery(let node): return "(…)[\(node.range):\(node.step?.description ?? "")]\(node.modifiers)"
        case .call(let node): return "\(node.function.name)(\(node.rangeText))"
        case .aggregation(let node):
            guard node.isWithout || !node.grouping.isEmpty else { return "\(node.operation.rawValue)(…)" }
            let names = node.grouping.joined(separator: ", ")
            return "\(node.operation.rawValue) \(node.isWithout ? "without" : "by") (\(names)) (…)"
        case .binary(let node): return "… \(node.operation.rawValue) …"
        case .unary(let node): return node.isNegation ? "-…" : "+…"
        case .parenthesis: return "(…)"
        }
    }
}

extension Call {
    /// The range that a window function reads itself, so that it is no step of its own.
    fileprivate var rangeText: String {
        switch arguments.first(where: { $0.type == .matrix })?.unwrapped {
        case .matrix(let matrix)?: "\(matrix)"
        case .subquery(let subquery)?: "(…)[\(subquery.range):\(subquery.step?.description ?? "")]\(subquery.modifiers)"
        default: "…"
        }
    }
}
