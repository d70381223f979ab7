internal import Telemetry

/// The windows of a range aggregation, one per step: each includes its end and not its start.
struct LogWindows {
    private let times: StepTimes
    private let lengthNanoseconds: Int64
    /// The end of the first window.
    private let firstEnd: Int64
    private let stepNanoseconds: Int64

    init(_ times: StepTimes, _ node: LogRangeAggregation, remainderNanoseconds: Int64) {
        self.times = times
        lengthNanoseconds = node.windowNanoseconds
        firstEnd = times.startMilliseconds &* 1_000_000 &+ remainderNanoseconds &- node.offsetNanoseconds
        stepNanoseconds = times.stepMilliseconds &* 1_000_000
    }

    private func end(_ step: Int) -> Int64 { firstEnd &+ Int64(step) &* stepNanoseconds }

    /// The time from the first window to the last.
    var range: LogTimeRange {
        LogTimeRange(
            startNanoseconds: firstEnd &- lengthNanoseconds &+ 1,
            endNanoseconds: end(max(0, times.count - 1)) &+ 1)
    }

    /// Buckets of time, of which every window is a whole number: how many, and how long each is.
    var buckets: (count: Int64, widthNanoseconds: Int64) {
        var (width, rest) = (lengthNanoseconds, times.count > 1 ? stepNanoseconds : 0)
        while rest != 0 { (width, rest) = (rest, width % rest) }
        let (range, width64) = (self.range, max(1, width))
        return ((range.endNanoseconds &- range.startNanoseconds) / width64, width64)
    }

    /// The counts of one group at every step, divided by `divisor`; nothing where its window has no line.
    func column(_ group: LogCounts, countsBytes: Bool, divisor: Double) -> SeriesColumn {
        var column = SeriesColumn(labels: group.labels, count: times.count)
        let width = buckets.widthNanoseconds
        let (perWindow, perStep) = (Int(lengthNanoseconds / width), Int(stepNanoseconds / width))
        var lines = [0]
        var bytes = [0]
        lines.reserveCapacity(group.lines.count + 1)
        bytes.reserveCapacity(group.lines.count + 1)
        for bucket in group.lines.indices {
            lines.append(lines[bucket] + group.lines[bucket])
            bytes.append(bytes[bucket] + group.bytes[bucket])
        }
        for step in 0..<times.count {
            let first = times.count > 1 ? step * perStep : 0
            guard first + perWindow < lines.count, lines[first + perWindow] > lines[first] else { continue }
            let sums = countsBytes ? bytes : lines
            column.values[step] = Double(sums[first + perWindow] - sums[first]) / divisor
        }
        return column
    }

    /// Whether a time within `range` lies in some window, rather than between two.
    func contain(_ nanoseconds: Int64) -> Bool {
        if stepNanoseconds <= lengthNanoseconds || nanoseconds <= firstEnd { return true }
        let steps = (nanoseconds - firstEnd + stepNanoseconds - 1) / stepNanoseconds
        return nanoseconds > end(Int(steps)) - lengthNanoseconds
    }

    /// The values of one series at every step; nothing where its window is empty.
    func column(_ series: LogSamples.Series, _ node: LogRangeAggregation) -> SeriesColumn {
        var column = SeriesColumn(labels: series.labels, count: times.count)
        guard let function = LogRangeFunction.functions[node.function] else { return column }
        series.values.withUnsafeBufferPointer { values in
            series.timesNanoseconds.withUnsafeBufferPointer { sampleTimes in
                func window(_ step: Int, _ range: Range<Int>) -> LogWindow {
                    LogWindow(
                        values: values, timesNanoseconds: sampleTimes, range: range,
                        startNanoseconds: end(step) - lengthNanoseconds, endNanoseconds: end(step),
                        parameter: node.parameter ?? 0)
                }
                switch function {
                case .window(let evaluate):
                    forEachWindow(sampleTimes) { step, range in
                        column.values[step] = evaluate(window(step, range))
                    }
                case .fold(let combine, let finish):
                    var fold = SlidingFold<Double>(make: { $0 }, combine: combine)
                    forEachWindow(sampleTimes) { step, range in
                        guard let folded = fold.fold(range, of: values) else { return }
                        column.values[step] = finish(folded, window(step, range))
                    }
                }
            }
        }
        return column
    }

    /// Calls `body` with the samples of each window that has any.
    private func forEachWindow(_ sampleTimes: UnsafeBufferPointer<Int64>, _ body: (Int, Range<Int>) -> Void) {
        var low = 0
        var high = 0
        for step in 0..<times.count {
            let end = end(step)
            while high < sampleTimes.count, sampleTimes[high] <= end { high += 1 }
            while low < high, sampleTimes[low] <= end - lengthNanoseconds { low += 1 }
            if high > low { body(step, low..<high) }
        }
    }

    /// 1 at every step whose window is empty in all series, under the labels that the matchers say for certain.
    func absence(of series: [LogSamples.Series], _ node: LogRangeAggregation) -> SeriesColumn {
        var isPresent = [Bool](repeating: false, count: times.count)
        for one in series {
            one.timesNanoseconds.withUnsafeBufferPointer { sampleTimes in
                forEachWindow(sampleTimes) { step, _ in isPresent[step] = true }
            }
        }
        var column = SeriesColumn(labels: LogWindows.certainLabels(node.pipeline.matchers), count: times.count)
        for step in isPresent.indices where !isPresent[step] { column.values[step] = 1 }
        return column
    }

    private static func certainLabels(_ matchers: [LabelMatcher]) -> Labels {
        let names = matchers.map(\.name)
        let certain = matchers.filter { matcher in
            matcher.operation == .equal && names.count { $0 == matcher.name } == 1
        }
        return Labels(certain.map { (name: $0.name, value: $0.value) })
    }
}
