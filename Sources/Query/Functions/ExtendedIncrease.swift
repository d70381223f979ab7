internal import Telemetry

/// `rate`, `increase` and `delta` of `anchored` and `smoothed` ranges: nothing is extrapolated. An anchored range
/// begins with the last sample before it; a smoothed one is interpolated at both edges.
///
/// Source: `extendedRate` and `extendedHistogramRate` in Prometheus 3.14's `promql/functions.go`.
struct ExtendedIncrease {
    let input: WindowInput
    let isCounter: Bool
    let isRate: Bool
    let isSmoothed: Bool

    func evaluate(_ column: inout SeriesColumn) throws {
        let lookback = input.evaluator.options.lookbackMilliseconds
        var ends = input.windowEnds
        if isSmoothed { ends.startMilliseconds += lookback }
        let length = input.lengthMilliseconds + lookback * (isSmoothed ? 2 : 1)
        var windows = WindowBounds()
        windows.find(input.run.times, windowEnds: ends, length: length)
        var histogramWindows = WindowBounds()
        histogramWindows.find(input.run.histogramTimes, windowEnds: ends, length: length)
        let histograms = HistogramWindows(input: input)
        for step in 0..<input.stepCount {
            switch (windows[step].isEmpty, histogramWindows[step].isEmpty) {
            case (false, false): histograms.warnOfMix()
            case (false, true):
                if let value = number(windows[step], step) { column.values[step] = value }
            case (true, false):
                do throws(HistogramMismatch) {
                    column.set(try histogram(histogramWindows[step], step, histograms), at: step)
                } catch {
                    histograms.warnOfMixedSchemas()
                }
            case (true, true): break
            }
        }
    }

    private var seconds: Double { Double(input.lengthMilliseconds) / 1000 }

    /// The samples that stand for the edges of the window `start...end`; nil where nothing lies behind its start.
    private func edges(_ window: Range<Int>, _ times: [Int64], _ start: Int64, _ end: Int64) -> (Int, Int)? {
        var last = window.upperBound - 1
        var first = window.lowerBound
        while first < last, times[first + 1] <= start { first += 1 }
        if isSmoothed {
            var index = window.lowerBound
            while index < last, times[index] < end { index += 1 }
            last = index
        }
        if times[last] <= start || (isSmoothed && times[first] > end) { return nil }
        return (first, last)
    }

    // MARK: Numbers

    private func number(_ window: Range<Int>, _ step: Int) -> Double? {
        let run = input.run
        let end = input.windowEnds[step]
        let start = end - input.lengthMilliseconds
        guard var (first, last) = edges(window, run.times, start, end) else { return nil }
        let left =
            isSmoothed && run.times[first] < start ? interpolated(first, first + 1, at: start) : run.values[first]
        let right =
            isSmoothed && last > window.lowerBound && run.times[last] > end
            ? interpolated(last - 1, last, at: end) : run.values[last]
        var change = right - left
        if isCounter {
            // Resets at the edges are in the interpolation already.
            if run.times[first] <= start { first += 1 }
            if run.times[last] >= end { last -= 1 }
            var previous = left
            for index in first..<max(first, last + 1) {
                if run.values[index] < previous { change += previous }
                previous = run.values[index]
            }
            if right < previous { change += previous }
        }
        return isRate ? change / seconds : change
    }

    /// On the line between two samples; a counter that was reset starts from zero.
    private func interpolated(_ left: Int, _ right: Int, at time: Int64) -> Double {
        let run = input.run
        let isReset = isCounter && run.values[right] < run.values[left]
        let from = isReset ? 0 : run.values[left]
        let share = Double(time - run.times[left]) / Double(run.times[right] - run.times[left])
        return from + (run.values[right] - from) * share
    }

    // MARK: Histograms

    private func histogram(
        _ window: Range<Int>, _ step: Int, _ windows: HistogramWindows
    ) throws(HistogramMismatch) -> NativeHistogram? {
        let run = input.run
        let end = input.windowEnds[step]
        let start = end - input.lengthMilliseconds
        guard let (first, last) = edges(window, run.histogramTimes, start, end) else { return nil }
        let used = run.histograms[first...max(first, last)]
        guard used.allSatisfy({ $0.usesCustomBuckets == run.histograms[first].usesCustomBuckets }) else {
            throw HistogramMismatch()
        }
        if isCounter, used.contains(where: { $0.counterResetHint == .gauge }) { windows.warnNotCounter() }
        let interpolation = HistogramInterpolation(windows: windows, isCounter: isCounter)
        let isLeftBetween = isSmoothed && run.histogramTimes[first] < start
        let left = isLeftBetween ? try interpolation.value(first, first + 1, at: start) : run.histograms[first]
        let isRightBetween = isSmoothed && last > window.lowerBound && run.histogramTimes[last] > end
        let right = isRightBetween ? try interpolation.value(last - 1, last, at: end) : run.histograms[last]
        if !isCounter, left.counterResetHint != .gauge || right.counterResetHint != .gauge {
            windows.warnNotGauge()
        }
        var change = right
        if try change.subtract(left).hasReconciledBounds { windows.inform(ofReconciledBoundsIn: "subtraction") }
        if isCounter {
            let corrections = resets(first, last, left: left, right: right, isLeftBetween: isLeftBetween)
            for correction in corrections where try change.add(correction).hasReconciledBounds {
                windows.inform(ofReconciledBoundsIn: "addition")
            }
        }
        if isRate { change = change.divided(by: seconds) }
        return change.hinting(.gauge).compacted
    }

    /// The histograms that were lost to a reset between the edges.
    private func resets(
        _ first: Int, _ last: Int, left: NativeHistogram, right: NativeHistogram, isLeftBetween: Bool
    ) -> [NativeHistogram] {
        let histograms = input.run.histograms
        var next = first + 1
        var previous = left
        if isLeftBetween, histograms[first + 1].isReset(since: histograms[first]) {
            // The left edge was interpolated across that reset: it is accounted for.
            previous = histograms[first + 1]
            next += 1
        }
        // The last sample is the right edge, or its hint lives on there.
        guard next <= last else { return [] }
        var lost: [NativeHistogram] = []
        for index in next..<last {
            if histograms[index].isReset(since: previous) { lost.append(previous) }
            previous = histograms[index]
        }
        if right.isReset(since: previous) { lost.append(previous) }
        return lost
    }
}

/// A histogram on the line between two others.
struct HistogramInterpolation {
    let windows: HistogramWindows
    let isCounter: Bool

    func value(_ left: Int, _ right: Int, at time: Int64) throws(HistogramMismatch) -> NativeHistogram {
        let run = windows.input.run
        return try HistogramInterpolation.value(
            (run.histogramTimes[left], run.histograms[left]), (run.histogramTimes[right], run.histograms[right]),
            at: time, isCounter: isCounter
        ) { windows.inform(ofReconciledBoundsIn: $0) }
    }

    static func value(
        _ left: (time: Int64, histogram: NativeHistogram), _ right: (time: Int64, histogram: NativeHistogram),
        at time: Int64, isCounter: Bool, reconciled: (String) -> Void
    ) throws(HistogramMismatch) -> NativeHistogram {
        if time == left.time { return left.histogram }
        if time == right.time { return right.histogram }
        let share = Double(time - left.time) / Double(right.time - left.time)
        if isCounter, right.histogram.isReset(since: left.histogram) {
            return right.histogram.multiplied(by: share)
        }
        var result = right.histogram
        if try result.subtract(left.histogram).hasReconciledBounds { reconciled("subtraction") }
        result = result.multiplied(by: share)
        if try result.add(left.histogram).hasReconciledBounds { reconciled("addition") }
        return result
    }
}
