internal import Telemetry

/// A function over the samples of a range vector. It sees a whole series at once and fills all steps of its column.
struct WindowFunction: Sendable {
    /// Whether the result is still a value of the metric itself, as of `last_over_time`.
    var keepsName = false
    /// Which of the extended selectors it understands.
    var understands: Set<VectorSelector.Extension> = []
    /// Whether it looks at start timestamps, which chunk headers know nothing of.
    var readsStartTimes = false
    /// The value of a window of whole chunks, from what their headers know; nil where headers are not enough.
    var header: (@Sendable (ChunkAggregate, WindowInput) -> Double?)?
    var evaluate: @Sendable (WindowInput, inout SeriesColumn) throws -> Void
}

/// What a window function works on: the samples of one series and where each step's window lies in them.
struct WindowInput {
    let evaluator: Evaluator
    let call: Call
    /// The series the samples belong to.
    let labels: Labels
    let run: SampleRun
    /// The windows over the numbers.
    let windows: WindowBounds
    /// The windows over the histograms.
    let histogramWindows: WindowBounds
    /// Where the windows end.
    let windowEnds: StepTimes
    let lengthMilliseconds: Int64
    /// The arguments beside the range vector, in order, one number per step.
    let scalars: [[Double]]
    let extent: VectorSelector.Extension?
    /// The only window, folded, where the store answered from chunk headers.
    let header: ChunkAggregate?

    var stepCount: Int { evaluator.times.count }

    /// The range vector among the arguments.
    var rangeArgument: Expression { call.arguments.first { $0.type == .matrix } ?? call.arguments[0] }

    var metricName: String { labels.metricName ?? "" }

    /// Calls `body` for every step with a number in its window, and takes its answer, if any, as the step's value.
    @inline(__always)
    func forEachWindow(
        _ column: inout SeriesColumn, _ body: (Int, UnsafeBufferPointer<Double>) throws -> Double?
    ) rethrows {
        try run.values.withUnsafeBufferPointer { values in
            for step in 0..<stepCount {
                let window = windows[step]
                guard !window.isEmpty else { continue }
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
                    + " for metric name \(GoText.quoted(metricName))", at: rangeArgument.span)
            return
        }
    }
}

extension Evaluator {
    /// Applies a window function to every series of the range vector among a call's arguments.
    func windows(_ function: WindowFunction, _ call: Call) throws -> [SeriesColumn] {
        guard times.count > 0 else { return [] }
        var scalars: [[Double]] = []
        for argument in call.arguments where argument.type == .scalar { scalars.append(try scalar(argument)) }
        var columns: [SeriesColumn] = []
        try forEachRange(of: call, function: function) { input, inputDropsName in
            let input = input.with(scalars)
            var column = SeriesColumn(labels: input.labels, count: times.count)
            column.dropsName = !function.keepsName || inputDropsName
            if let header = input.header {
                function.header?(header, input).map { column.values[0] = $0 }
            } else {
                try function.evaluate(input, &column)
            }
            guard !column.isEmpty else { return }
            try context.reserve(column.bytes)
            columns.append(column)
        }
        return columns
    }

    private func forEachRange(
        of call: Call, function: WindowFunction, _ body: (WindowInput, Bool) throws -> Void
    ) throws {
        let argument = call.arguments.first { $0.type == .matrix }
        switch argument?.unwrapped {
        case .matrix(let matrix): try forEachRange(matrix, call, function, body)
        case .subquery(let subquery): try forEachRange(subquery, call, body)
        default: return
        }
    }

    private func forEachRange(
        _ matrix: MatrixSelector, _ call: Call, _ function: WindowFunction,
        _ body: (WindowInput, Bool) throws -> Void
    ) throws {
        if let extent = matrix.selector.extent { try checkExtent(extent, function, call) }
        let length = matrix.range.preparedMilliseconds
        let ends = StepTimes(matrix.selector.modifiers, times)
        let extent = matrix.selector.extent
        let hidesStartTimes = function.readsStartTimes && options.usesStartTimestamps
        let isOneWindow = times.count == 1 && extent == nil && function.header != nil && !hidesStartTimes
        let hints = SelectHints(
            function: isOneWindow ? call.function.name : "", windowMilliseconds: length,
            stepMilliseconds: times.count > 1 ? times.stepMilliseconds : 0)
        let margin = WindowMargin(extent, lookback: options.lookbackMilliseconds)
        let start = ends.startMilliseconds &- length &- margin.before &+ 1
        let end = ends.endMilliseconds &+ margin.after
        let cursors = try cursors(matrix.selector, from: start, through: end, hints: hints)
        let run = SampleRun()
        var buffer = SampleBuffer()
        for cursor in cursors {
            var header: ChunkAggregate?
            if isOneWindow, var fold = try fold(run, from: cursor, &buffer) {
                header = fold.hasHeaders ? fold.finished(run) : nil
                if fold.hasHeaders, header == nil { continue }
            } else if isOneWindow {
                // Numbers in headers and histograms beside them: the samples themselves must tell.
                let again = try self.cursors(matrix.selector, from: start, through: end, hints: SelectHints())
                guard let same = again.first(where: { $0.labels == cursor.labels }) else { continue }
                try fill(run, from: same, &buffer)
            } else {
                try fill(run, from: cursor, &buffer)
            }
            guard header != nil || !run.isEmpty else { continue }
            // The run is reused, so only its growth would count; it is given back at once.
            try context.reserve(run.bytes)
            defer { context.release(run.bytes) }
            try body(
                input(call, cursor.labels, run, ends: ends, length: length, extent: extent, header: header), false)
        }
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

    private func forEachRange(
        _ subquery: Subquery, _ call: Call, _ body: (WindowInput, Bool) throws -> Void
    ) throws {
        let (columns, grid) = try evaluated(subquery)
        let length = subquery.range.preparedMilliseconds
        let ends = StepTimes(subquery.modifiers, times)
        let run = SampleRun()
        for column in columns {
            try context.check()
            run.removeAll()
            run.append(column, at: grid)
            guard !run.isEmpty else { continue }
            try body(input(call, column.labels, run, ends: ends, length: length, extent: nil), column.dropsName)
        }
        for column in columns { context.release(column.bytes) }
    }

    private func input(
        _ call: Call, _ labels: Labels, _ run: SampleRun, ends: StepTimes, length: Int64,
        extent: VectorSelector.Extension?, header: ChunkAggregate? = nil
    ) -> WindowInput {
        var windows = WindowBounds()
        windows.find(run.times, windowEnds: ends, length: length)
        var histogramWindows = WindowBounds()
        histogramWindows.find(run.histogramTimes, windowEnds: ends, length: length)
        return WindowInput(
            evaluator: self, call: call, labels: labels, run: run, windows: windows,
            histogramWindows: histogramWindows, windowEnds: ends, lengthMilliseconds: length, scalars: [],
            extent: extent, header: header)
    }

    /// The inner expression of a sub-query at all the times any of its windows needs.
    func evaluated(_ subquery: Subquery) throws -> (columns: [SeriesColumn], grid: StepTimes) {
        let ends = StepTimes(subquery.modifiers, times)
        let step = subquery.step?.preparedMilliseconds ?? options.subqueryStepMilliseconds
        let earliest = ends.startMilliseconds &- subquery.range.preparedMilliseconds
        // The first multiple of the step behind the left end, which is open. Go's division rounds to zero.
        var start = step * (earliest / step)
        if start <= earliest { start += step }
        let grid = StepTimes(start: start, end: ends.endMilliseconds, step: step)
        guard grid.count > 0 else { return ([], grid) }
        var inner = self
        inner.times = grid
        inner.isInSubquery = true
        inner.detectsResets = false
        return (try inner.vector(subquery.inner), grid)
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

extension WindowInput {
    fileprivate func with(_ scalars: [[Double]]) -> WindowInput {
        WindowInput(
            evaluator: evaluator, call: call, labels: labels, run: run, windows: windows,
            histogramWindows: histogramWindows, windowEnds: windowEnds, lengthMilliseconds: lengthMilliseconds,
            scalars: scalars, extent: extent, header: header)
    }
}

extension SampleRun {
    /// Adds the present steps of a column.
    func append(_ column: SeriesColumn, at grid: StepTimes) {
        for step in column.values.indices {
            if column.hasNumber(at: step) {
                times.append(grid[step])
                values.append(column.values[step])
            } else if let histogram = column.histogram(at: step) {
                histogramTimes.append(grid[step])
                histograms.append(histogram.forgettingResets)
                histogramStartTimes.append(0)
            }
        }
    }
}
