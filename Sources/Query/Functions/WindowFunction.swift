internal import Telemetry

/// A function over the samples of a range vector. It sees a whole series at once and fills all steps of its column.
struct WindowFunction: Sendable {
    /// Whether the result is still a value of the metric itself, as of `last_over_time`.
    var keepsName = false
    /// Which of the extended selectors it understands.
    var understands: Set<VectorSelector.Extension> = []
    /// Whether it looks at start timestamps, which chunk headers know nothing of.
    var readsStartTimes = false
    /// Whether it looks only at when samples were taken.
    var readsOnlyPresence = false
    /// The value of a window of whole chunks, from what their headers know; nil where headers are not enough.
    var header: (@Sendable (ChunkAggregate, WindowInput) -> Double?)?
    var evaluate: @Sendable (WindowInput, inout SeriesColumn) throws -> Void
}

/// A call of a window function: what is the same for all of its series.
final class WindowCall: Sendable {
    let evaluator: Evaluator
    let call: Call
    let function: WindowFunction
    /// Where the windows end.
    let windowEnds: StepTimes
    let lengthMilliseconds: Int64
    /// The arguments beside the range vector, in order, one number per step.
    let scalars: [[Double]]
    let extent: VectorSelector.Extension?
    /// The range vector among the arguments.
    let rangeArgument: Expression

    init(
        _ evaluator: Evaluator, _ call: Call, _ function: WindowFunction, _ argument: Expression,
        ends: StepTimes, length: Int64, extent: VectorSelector.Extension? = nil
    ) throws {
        (self.evaluator, self.call, self.function) = (evaluator, call, function)
        (windowEnds, lengthMilliseconds, self.extent) = (ends, length, extent)
        rangeArgument = argument
        scalars = try call.arguments.filter { $0.type == .scalar }.map { try evaluator.scalar($0) }
    }
}

/// What a window function works on: the samples of one series and where each step's window lies in them.
struct WindowInput {
    let shared: WindowCall
    /// The series the samples belong to.
    let labels: Labels
    let run: SampleRun
    /// The windows over the numbers.
    let windows: WindowBounds
    /// The windows over the histograms.
    let histogramWindows: WindowBounds
    /// What is known of the windows over the numbers beside their bounds.
    let plan: WindowPlan
    /// The only window, folded, where the store answered from chunk headers.
    let header: ChunkAggregate?

    var evaluator: Evaluator { shared.evaluator }
    var call: Call { shared.call }
    var windowEnds: StepTimes { shared.windowEnds }
    var lengthMilliseconds: Int64 { shared.lengthMilliseconds }
    var scalars: [[Double]] { shared.scalars }
    var extent: VectorSelector.Extension? { shared.extent }
    var stepCount: Int { shared.evaluator.times.count }
    /// Where remarks about the range point. Prometheus evaluates a sub-query first and then has no place for it but the
    /// start of the query.
    var rangePlace: SourceSpan {
        if case .subquery = shared.rangeArgument.unwrapped { return .none }
        return shared.rangeArgument.span
    }
    /// Where the first argument stands, which is the rank of a quantile and the range otherwise.
    private var firstPlace: SourceSpan {
        guard let first = call.arguments.first, first.type == .scalar else { return rangePlace }
        return first.span
    }
    var metricName: String { labels.metricName ?? "" }

    /// Calls `body` for every step with a number in its window, and takes its answer, if any, as the step's value.
    @inline(__always)
    func forEachWindow(
        _ column: inout SeriesColumn, _ body: (Int, UnsafeBufferPointer<Double>) throws -> Double?
    ) throws {
        var meter = WorkMeter(shared.evaluator.context)
        try run.values.withUnsafeBufferPointer { values in
            for step in 0..<stepCount {
                let window = windows[step]
                guard !window.isEmpty else { continue }
                try meter.spend(window.count)
                if let value = try body(step, UnsafeBufferPointer(rebasing: values[window])) {
                    column.values[step] = value
                }
            }
        }
    }

    /// Whether a step's window holds both numbers and histograms.
    func isMixed(_ step: Int) -> Bool { !windows[step].isEmpty && !histogramWindows[step].isEmpty }

    /// Where histograms would be ignored, the reader is told.
    func informOfIgnoredHistograms() {
        guard !run.histograms.isEmpty else { return }
        for step in 0..<stepCount where isMixed(step) {
            evaluator.inform(
                "ignored histograms in a range containing both floats and histograms"
                    + " for metric name \(GoText.quoted(metricName))", at: firstPlace)
            return
        }
    }
}

extension Evaluator {
    /// Applies a window function to every series of the range vector among a call's arguments.
    func windows(_ function: WindowFunction, _ call: Call) throws -> [SeriesColumn] {
        try collected(windowStream(function, call))
    }

    /// As `windows`, series by series.
    func windowStream(_ function: WindowFunction, _ call: Call) throws -> ColumnStream {
        guard times.count > 0, let argument = call.arguments.first(where: { $0.type == .matrix }) else {
            return ColumnStream([])
        }
        switch argument.unwrapped {
        case .matrix(let matrix): return try windowStream(function, call, argument, matrix)
        case .subquery(let subquery): return try windowStream(function, call, argument, subquery)
        default: return ColumnStream([])
        }
    }

    private func windowStream(
        _ function: WindowFunction, _ call: Call, _ argument: Expression, _ matrix: MatrixSelector
    ) throws -> ColumnStream {
        let extent = matrix.selector.extent
        if let extent { try checkExtent(extent, function, call) }
        let length = matrix.range.preparedMilliseconds
        let ends = StepTimes(matrix.selector.modifiers, times)
        let shared = try WindowCall(self, call, function, argument, ends: ends, length: length, extent: extent)
        let hidesStartTimes = function.readsStartTimes && options.usesStartTimestamps
        let isOneWindow = times.count == 1 && extent == nil && function.header != nil && !hidesStartTimes
        var hints = SelectHints(
            function: isOneWindow ? call.function.name : "", windowMilliseconds: length,
            stepMilliseconds: times.count > 1 ? times.stepMilliseconds : 0)
        hints.isOnlyPresence = function.readsOnlyPresence && extent == nil
        let margin = WindowMargin(extent, lookback: options.lookbackMilliseconds)
        let start = ends.startMilliseconds &- length &- margin.before &+ 1
        let end = ends.endMilliseconds &+ margin.after
        let cursors = Cursors(try cursors(matrix.selector, from: start, through: end, hints: hints))
        let samples = cursors.count * (Evaluator.expectedSamples(end &- start) + times.count)
        return ColumnStream(count: cursors.count, samples: samples) { index, workspace, column in
            let cursor = cursors[index]
            var header: ChunkAggregate?
            if !isOneWindow {
                try fill(from: cursor, workspace)
            } else if var fold = try fold(from: cursor, workspace) {
                header = fold.hasHeaders ? fold.finished(workspace.run) : nil
                if fold.hasHeaders, header == nil { return false }
            } else {
                // Numbers in headers and histograms beside them: the samples themselves must tell.
                let again = try self.cursors(matrix.selector, from: start, through: end, hints: SelectHints())
                guard let same = again.first(where: { $0.labels == cursor.labels }) else { return false }
                try fill(from: same, workspace)
            }
            guard header != nil || !workspace.run.isEmpty else { return false }
            return try shared.apply(to: cursor.labels, workspace, into: &column, header: header)
        }
    }

    private func windowStream(
        _ function: WindowFunction, _ call: Call, _ argument: Expression, _ subquery: Subquery
    ) throws -> ColumnStream {
        let (inner, grid) = try innerEvaluator(subquery)
        let shared = try WindowCall(
            self, call, function, argument, ends: StepTimes(subquery.modifiers, times),
            length: subquery.range.preparedMilliseconds)
        guard grid.count > 0 else { return ColumnStream([]) }
        let series = try inner.stream(subquery.inner)
        var stream = ColumnStream(
            count: series.count, samples: max(series.samples, series.count &* (grid.count &+ times.count))
        ) { index, workspace, column in
            let run = workspace.run
            run.removeAll()
            try workspace.reserve(grid.count * 16 + run.bytes, in: context)
            guard try series.fill(index, workspace.inner, &workspace.innerColumn) else { return false }
            run.append(workspace.innerColumn, at: grid)
            try workspace.reserve(grid.count * 16 + run.bytes, in: context)
            guard !run.isEmpty else { return false }
            let innerDropsName = workspace.innerColumn.dropsName
            return try shared.apply(
                to: workspace.innerColumn.labels, workspace, into: &column, innerDropsName: innerDropsName)
        }
        stream.takeReservation(of: series)
        return stream
    }

    private func checkExtent(
        _ extent: VectorSelector.Extension, _ function: WindowFunction, _ call: Call
    ) throws(QueryError) {
        guard !function.understands.contains(extent) else { return }
        let names = Functions.all.filter { candidate in
            guard case .window(let window) = candidate.code else { return false }
            return window.understands.contains(extent)
        }.map(\.name).sorted()
        throw QueryError(
            .execution,
            "\(extent.rawValue) modifier can only be used with: \(names.joined(separator: ", "))"
                + " - not with \(call.function.name)")
    }

    /// Evaluates the inner expression of a sub-query at all the times any of its windows needs.
    private func innerEvaluator(_ subquery: Subquery) throws -> (evaluator: Evaluator, grid: StepTimes) {
        let ends = StepTimes(subquery.modifiers, times)
        let step = subquery.step?.preparedMilliseconds ?? options.subqueryStepMilliseconds
        let earliest = ends.startMilliseconds &- subquery.range.preparedMilliseconds
        // The first multiple of the step behind the left end, which is open. Go's division rounds to zero.
        var start = step * (earliest / step)
        if start <= earliest { start &+= step }
        let grid = StepTimes(start: start, end: ends.endMilliseconds, step: step)
        // One number per step is the least that any expression needs; more steps than that are not even begun.
        try context.reserve(grid.count * 8, samples: grid.count)
        var inner = self
        inner.times = grid
        inner.isInSubquery = true
        inner.detectsResets = false
        inner.stepSamples = nil
        return (inner, grid)
    }

    /// The inner expression of a sub-query at all the times any of its windows needs.
    func evaluated(_ subquery: Subquery) throws -> (columns: [SeriesColumn], grid: StepTimes) {
        let (inner, grid) = try innerEvaluator(subquery)
        return (grid.count > 0 ? try inner.vector(subquery.inner) : [], grid)
    }
}

extension WindowCall {
    /// Computes the column of a series whose samples are in the workspace's run; false when it has no value.
    fileprivate func apply(
        to labels: Labels, _ workspace: Workspace, into column: inout SeriesColumn, innerDropsName: Bool = false,
        header: ChunkAggregate? = nil
    ) throws -> Bool {
        let run = workspace.run
        let times = run.times
        let plan = workspace.windows.found(for: times, bytes: windowEnds.count * 48) {
            WindowPlan(times, windowEnds: windowEnds, length: lengthMilliseconds)
        }
        workspace.histogramWindows.find(run.histogramTimes, windowEnds: windowEnds, length: lengthMilliseconds)
        let input = WindowInput(
            shared: self, labels: labels, run: run, windows: plan.windows,
            histogramWindows: workspace.histogramWindows, plan: plan, header: header)
        column.reset(labels, count: evaluator.times.count)
        column.dropsName = !function.keepsName || innerDropsName
        if let header {
            function.header?(header, input).map { column.values[0] = $0 }
        } else {
            try function.evaluate(input, &column)
        }
        input.countSamples(into: &workspace.stepSamples)
        return !column.isEmpty
    }
}

extension WindowInput {
    /// Adds how many samples the window of each step holds; a histogram counts for its size, as in Prometheus.
    fileprivate func countSamples(into counts: inout [Int]) {
        guard !counts.isEmpty else { return }
        if let header {
            counts[0] += header.count
            return
        }
        for step in 0..<min(counts.count, stepCount) {
            counts[step] += windows[step].count
            for index in histogramWindows[step] { counts[step] += max(1, run.histograms[index].memoryBytes / 16) }
        }
    }
}

/// How far beside the windows an extended selector looks.
private struct WindowMargin {
    var before: Int64 = 0
    var after: Int64 = 0

    init(_ extent: VectorSelector.Extension?, lookback: Int64) {
        if extent != nil { before = lookback }
        if extent == .smoothed { after = lookback }
    }
}

extension SampleRun {
    /// Adds the present steps of a column.
    func append(_ column: SeriesColumn, at grid: StepTimes) {
        for step in column.values.indices {
            if column.hasNumber(at: step) {
                append(grid[step], column.values[step])
            } else if let histogram = column.histogram(at: step) {
                histogramTimes.append(grid[step])
                histograms.append(histogram.forgettingResets)
                histogramStartTimes.append(0)
            }
        }
    }
}
