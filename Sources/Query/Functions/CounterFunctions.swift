internal import Telemetry

extension Functions {
    /// Functions of how a series moves: increases of counters, differences of gauges, resets, changes.
    static let counterFunctions: [Function] = [
        Function("rate", [.matrix], counter { try CounterIncrease(isCounter: true, isRate: true).evaluate($0, &$1) }),
        Function(
            "increase", [.matrix], counter { try CounterIncrease(isCounter: true, isRate: false).evaluate($0, &$1) }),
        Function(
            "delta", [.matrix], counter { try CounterIncrease(isCounter: false, isRate: false).evaluate($0, &$1) }),
        Function("irate", [.matrix], .window(WindowFunction { try instantChange($0, &$1, isRate: true) })),
        Function("idelta", [.matrix], .window(WindowFunction { try instantChange($0, &$1, isRate: false) })),
        Function("resets", [.matrix], .window(WindowFunction(understands: [.anchored], evaluate: resets))),
        Function("changes", [.matrix], .window(WindowFunction(understands: [.anchored], evaluate: changes))),
    ]

    private static func counter(
        _ evaluate: @escaping @Sendable (WindowInput, inout SeriesColumn) throws -> Void
    ) -> FunctionCode {
        .window(WindowFunction(understands: [.anchored, .smoothed], evaluate: evaluate))
    }

    /// From the last sample but one to the last.
    private static func instantChange(
        _ input: WindowInput, _ column: inout SeriesColumn, isRate: Bool
    ) throws {
        try input.refuseHistograms()
        let run = input.run
        for step in 0..<input.stepCount {
            let window = input.windows[step]
            guard window.count >= 2 else { continue }
            let last = window.upperBound - 1
            let seconds = Double(run.times[last] - run.times[last - 1]) / 1000
            let isReset =
                isRate && (run.values[last] < run.values[last - 1] || input.startedAnew(at: last))
            let change = isReset ? run.values[last] : run.values[last] - run.values[last - 1]
            column.values[step] = isRate ? change / seconds : change
        }
    }

    @Sendable private static func resets(_ input: WindowInput, _ column: inout SeriesColumn) throws {
        try input.refuseHistograms()
        if input.extent != nil { throw input.notSupportedExtent }
        count(input, &column) { $0.run.values[$1] < $0.run.values[$1 - 1] || $0.startedAnew(at: $1) }
    }

    @Sendable private static func changes(_ input: WindowInput, _ column: inout SeriesColumn) throws {
        try input.refuseHistograms()
        if input.extent != nil { throw input.notSupportedExtent }
        count(input, &column) { input, index in
            let (before, now) = (input.run.values[index - 1], input.run.values[index])
            return now != before && !(now.isNaN && before.isNaN)
        }
    }

    /// Counts the samples of each window that satisfy `condition`, which sees the one before too.
    private static func count(
        _ input: WindowInput, _ column: inout SeriesColumn, _ condition: (WindowInput, Int) -> Bool
    ) {
        let samples = input.run.times.count
        // Counting once and taking differences: whole numbers lose nothing.
        var before = [Int32](repeating: 0, count: samples)
        for index in 1..<max(1, samples) {
            before[index] = before[index - 1] + (condition(input, index) ? 1 : 0)
        }
        for step in 0..<input.stepCount {
            let window = input.windows[step]
            guard let first = window.first, let last = window.last else { continue }
            column.values[step] = Double(before[last] - before[first])
        }
    }
}

extension WindowInput {
    var notSupportedExtent: QueryError {
        evaluator.notSupported(extent?.rawValue ?? "", at: rangeArgument.span)
    }

    /// Whether sample `index` says that its counter began behind the sample before it.
    func startedAnew(at index: Int) -> Bool {
        guard evaluator.options.usesStartTimestamps, !run.startTimes.isEmpty, index > 0 else { return false }
        let (start, time) = (run.startTimes[index], run.times[index])
        let (previousStart, previousTime) = (run.startTimes[index - 1], run.times[index - 1])
        // Not known, or not to be believed.
        if start == 0 || start >= time || start < previousTime { return false }
        if start > previousTime { return true }
        // It begins where the sample before was taken: so do deltas, and counters whose beginning is not known.
        return previousStart < previousTime && previousStart != 0
    }

    /// Whether sample `index` claims a beginning that contradicts the sample before it.
    func overlapsBefore(at index: Int) -> Bool {
        guard evaluator.options.usesStartTimestamps, !run.startTimes.isEmpty, index > 0 else { return false }
        let start = run.startTimes[index]
        return start != 0 && start < run.times[index - 1] && start != run.startTimes[index - 1]
    }
}
