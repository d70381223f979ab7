internal import Telemetry

/// Functions of how a series moves: increases of counters, differences of gauges, resets, changes.
extension Functions {
    static let counterFunctions: [Function] = [
        counter("rate", CounterIncrease(isCounter: true, isRate: true)),
        counter("increase", CounterIncrease(isCounter: true, isRate: false)),
        counter("delta", CounterIncrease(isCounter: false, isRate: false)),
        Function("irate", [.matrix], .window(WindowFunction(evaluate: { try instantChange($0, &$1, isRate: true) }))),
        Function("idelta", [.matrix], .window(WindowFunction(evaluate: { try instantChange($0, &$1, isRate: false) }))),
        Function(
            "resets", [.matrix],
            .window(
                WindowFunction(
                    understands: [.anchored], readsStartTimes: true, header: { whole, _ in Double(whole.resets) },
                    evaluate: resets)
            )),
        Function("changes", [.matrix], .window(WindowFunction(understands: [.anchored], evaluate: changes))),
    ]

    private static func counter(_ name: String, _ increase: CounterIncrease) -> Function {
        var window = WindowFunction(
            understands: [.anchored, .smoothed], readsStartTimes: true,
            evaluate: { input, column in try increase.evaluate(input, &column) })
        if increase.isCounter {
            window.header = { whole, input in increase.value(of: whole, input) }
        }
        return Function(name, [.matrix], .window(window))
    }

    /// From the last sample but one to the last, numbers and histograms alike.
    private static func instantChange(
        _ input: WindowInput, _ column: inout SeriesColumn, isRate: Bool
    ) throws {
        let run = input.run
        for step in 0..<input.stepCount {
            let window = input.windows[step]
            let histogramWindow = input.histogramWindows[step]
            guard window.count + histogramWindow.count >= 2 else { continue }
            if !histogramWindow.isEmpty {
                HistogramInstantChange(input: input, isRate: isRate).put(step, into: &column)
                continue
            }
            let last = window.upperBound - 1
            let seconds = Double(run.times[last] - run.times[last - 1]) / 1000
            let isReset =
                isRate && (run.values[last] < run.values[last - 1] || input.startedAnew(at: last))
            let change = isReset ? run.values[last] : run.values[last] - run.values[last - 1]
            column.values[step] = isRate ? change / seconds : change
        }
    }

    @Sendable private static func resets(_ input: WindowInput, _ column: inout SeriesColumn) {
        SampleTransitions(input: input) { input, before, now in
            switch (before, now) {
            case (.number(let a), .number(let b)):
                input.run.values[b] < input.run.values[a] || input.startedAnew(at: b)
            case (.histogram(let a), .histogram(let b)):
                input.histogramStartedAnew(at: b)
                    || input.run.histograms[b].isReset(since: input.run.histograms[a])
            default: true
            }
        }.count(into: &column)
    }

    @Sendable private static func changes(_ input: WindowInput, _ column: inout SeriesColumn) {
        SampleTransitions(input: input) { input, before, now in
            switch (before, now) {
            case (.number(let a), .number(let b)):
                let (x, y) = (input.run.values[a], input.run.values[b])
                return x != y && !(x.isNaN && y.isNaN)
            case (.histogram(let a), .histogram(let b)):
                return !input.run.histograms[b].isIdentical(to: input.run.histograms[a])
            default: return true
            }
        }.count(into: &column)
    }
}

/// Counts from sample to sample, over numbers and histograms in the order of time.
private struct SampleTransitions {
    /// An index into the numbers or the histograms of a run.
    enum Place {
        case number(Int)
        case histogram(Int)
    }

    let input: WindowInput
    let isCounted: (WindowInput, Place, Place) -> Bool

    func count(into column: inout SeriesColumn) {
        let places = ordered
        let times = places.map { place in
            switch place {
            case .number(let index): input.run.times[index]
            case .histogram(let index): input.run.histogramTimes[index]
            }
        }
        // Counting once and taking differences: whole numbers lose nothing.
        var before = [Int](repeating: 0, count: places.count)
        for index in places.indices.dropFirst() {
            before[index] = before[index - 1] + (isCounted(input, places[index - 1], places[index]) ? 1 : 0)
        }
        var windows = WindowBounds()
        windows.find(times, windowEnds: input.windowEnds, length: input.lengthMilliseconds)
        for step in 0..<input.stepCount {
            let window = windows[step]
            guard let last = window.last else { continue }
            // An anchored window begins at the last sample before it.
            let first = input.extent == .anchored ? max(0, window.lowerBound - 1) : window.lowerBound
            let limit = input.windowEnds[step] - input.lengthMilliseconds - input.evaluator.options.lookbackMilliseconds
            let isInReach = times[first] > limit
            column.values[step] = Double(before[last] - before[isInReach ? first : window.lowerBound])
        }
    }

    private var ordered: [Place] {
        var places: [Place] = []
        var (number, histogram) = (0, 0)
        let run = input.run
        while number < run.times.count || histogram < run.histogramTimes.count {
            let isNumber =
                histogram == run.histogramTimes.count
                || (number < run.times.count && run.times[number] < run.histogramTimes[histogram])
            places.append(isNumber ? .number(number) : .histogram(histogram))
            if isNumber { number += 1 } else { histogram += 1 }
        }
        return places
    }
}

extension WindowInput {
    /// Whether sample `index` says that its counter began behind the sample before it.
    func startedAnew(at index: Int) -> Bool {
        guard evaluator.options.usesStartTimestamps, !run.startTimes.isEmpty, index > 0 else { return false }
        return StartTimes.isReset(
            start: run.startTimes[index], time: run.times[index], previousStart: run.startTimes[index - 1],
            previousTime: run.times[index - 1])
    }

    /// Whether sample `index` claims a beginning that contradicts the sample before it.
    func overlapsBefore(at index: Int) -> Bool {
        guard evaluator.options.usesStartTimestamps, !run.startTimes.isEmpty, index > 0 else { return false }
        let start = run.startTimes[index]
        return start != 0 && start < run.times[index - 1] && start != run.startTimes[index - 1]
    }
}
