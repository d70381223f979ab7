internal import Telemetry

/// Extended selectors beside window functions: `metric smoothed`, `metric[5m] anchored`.
extension Evaluator {
    /// Each series at each step on the line between the samples around it, within the lookback on either side.
    func smoothed(_ selector: VectorSelector) throws -> [SeriesColumn] {
        guard times.count > 0 else { return [] }
        let lookback = options.lookbackMilliseconds
        let lookups = StepTimes(selector.modifiers, times)
        let cursors = try cursors(
            selector, from: lookups.startMilliseconds &- lookback &+ 1, through: lookups.endMilliseconds &+ lookback,
            hints: SelectHints())
        let workspace = Workspace()
        let run = workspace.run
        var columns: [SeriesColumn] = []
        for cursor in cursors {
            try context.check()
            try fill(from: cursor, workspace)
            guard !run.isEmpty else { continue }
            let column = smoothed(run, cursor.labels, lookups, at: selector.span)
            guard !column.isEmpty else { continue }
            try context.reserve(column.bytes, samples: column.values.count)
            columns.append(column)
        }
        return columns
    }

    private func smoothed(
        _ run: SampleRun, _ labels: Labels, _ lookups: StepTimes, at span: SourceSpan
    ) -> SeriesColumn {
        let lookback = options.lookbackMilliseconds
        var ends = lookups
        ends.startMilliseconds &+= lookback
        var windows = WindowBounds()
        windows.find(run.times, windowEnds: ends, length: 2 * lookback)
        var histogramWindows = WindowBounds()
        histogramWindows.find(run.histogramTimes, windowEnds: ends, length: 2 * lookback)
        let name = GoText.quoted(labels.metricName ?? "")
        var column = SeriesColumn(labels: labels, count: lookups.count)
        for step in 0..<lookups.count {
            let time = lookups[step]
            switch (windows[step].isEmpty, histogramWindows[step].isEmpty) {
            case (true, true): continue
            case (false, false):
                warn("encountered a mix of histograms and floats for metric name \(name)", at: span)
            case (false, true):
                if let value = SmoothedValue.number(run, windows[step], at: time) { column.values[step] = value }
            case (true, false):
                do throws(HistogramMismatch) {
                    let histogram = try SmoothedValue.histogram(run, histogramWindows[step], at: time) {
                        inform("mismatched custom buckets were reconciled during \($0)", at: span)
                    }
                    column.set(histogram, at: step)
                } catch {
                    warn(
                        "vector contains a mix of histograms with exponential and custom buckets schemas "
                            + "for metric name \(name)", at: span)
                }
            }
        }
        return column
    }

    /// The samples of an extended range: those within, and one at either edge.
    func extendedPoints(of matrix: MatrixSelector, _ extent: VectorSelector.Extension) throws -> [SeriesPoints] {
        let lookback = options.lookbackMilliseconds
        let end = StepTimes(matrix.selector.modifiers, times).startMilliseconds
        let start = end &- matrix.range.preparedMilliseconds
        let latest = extent == .smoothed ? end &+ lookback : end
        let workspace = Workspace()
        let run = workspace.run
        var result: [SeriesPoints] = []
        for cursor in try cursors(matrix.selector, from: start &- lookback &+ 1, through: latest, hints: SelectHints())
        {
            try context.check()
            try fill(from: cursor, workspace)
            guard run.histograms.isEmpty else {
                throw QueryError(.execution, "\(extent.rawValue) modifier is not supported with histograms")
            }
            guard let last = run.times.last, last > start else { continue }
            var points = SeriesPoints(labels: cursor.labels)
            let isSmoothed = extent == .smoothed
            let all = 0..<run.times.count
            let before = run.times.lastIndex { $0 <= start } ?? 0
            let left = isSmoothed ? SmoothedValue.number(run, all, at: start) : nil
            let rightEdge = run.times.lastIndex { $0 <= end } ?? 0
            let right = isSmoothed ? SmoothedValue.number(run, all, at: end) : nil
            points.timesMilliseconds.append(start)
            points.values.append(left ?? run.values[before])
            for index in all where run.times[index] > start && run.times[index] < end {
                points.timesMilliseconds.append(run.times[index])
                points.values.append(run.values[index])
            }
            points.timesMilliseconds.append(end)
            points.values.append(right ?? run.values[rightEdge])
            try context.reserve(points.values.count * 16 + points.labels.encoded.count, samples: points.values.count)
            result.append(points)
        }
        return result
    }
}

/// Values between samples.
private enum SmoothedValue {
    /// The first sample of a window at or behind `time`, and whether it is exactly there.
    private static func place(_ times: [Int64], _ window: Range<Int>, _ time: Int64) -> Int {
        window.first { times[$0] >= time } ?? window.upperBound
    }

    static func number(_ run: SampleRun, _ window: Range<Int>, at time: Int64) -> Double? {
        let next = place(run.times, window, time)
        if next < window.upperBound, run.times[next] == time { return run.values[next] }
        guard next > window.lowerBound else { return nil }
        guard next < window.upperBound else { return run.values[next - 1] }
        let share = Double(time - run.times[next - 1]) / Double(run.times[next] - run.times[next - 1])
        return run.values[next - 1] + (run.values[next] - run.values[next - 1]) * share
    }

    static func histogram(
        _ run: SampleRun, _ window: Range<Int>, at time: Int64, reconciled: (String) -> Void
    ) throws(HistogramMismatch) -> NativeHistogram? {
        let next = place(run.histogramTimes, window, time)
        if next < window.upperBound, run.histogramTimes[next] == time { return run.histograms[next] }
        guard next > window.lowerBound else { return nil }
        guard next < window.upperBound else { return run.histograms[next - 1].hinting(.unknown) }
        let (left, right) = (run.histograms[next - 1], run.histograms[next])
        guard left.usesCustomBuckets == right.usesCustomBuckets else { throw HistogramMismatch() }
        let isCounter = left.counterResetHint != .gauge || right.counterResetHint != .gauge
        return try HistogramInterpolation.value(
            (run.histogramTimes[next - 1], left), (run.histogramTimes[next], right), at: time, isCounter: isCounter,
            reconciled: reconciled)
    }
}
