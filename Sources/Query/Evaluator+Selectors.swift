internal import Telemetry

/// Reads series through the port and lays them out over the steps.
extension Evaluator {
    /// The cursors of the series that `selector` selects between two times, both ends included.
    func cursors(
        _ selector: VectorSelector, from start: Int64, through end: Int64, hints: SelectHints
    ) throws -> [any SeriesCursor] {
        let range = TimeRange(startMilliseconds: start, endMilliseconds: end)
        let request = SeriesRequest(matchers: selector.matchers, range: range, hints: hints)
        return try source.select(request, in: context)
    }

    /// The last sample of each series at or before each step, unless it is older than the lookback or stale.
    func instantVector(_ selector: VectorSelector) throws -> [SeriesColumn] {
        selector.extent == .smoothed ? try smoothed(selector) : try latest(selector) { $0 }
    }

    /// As `instantVector`, with what `value` makes of each sample in place of its value.
    func latest(
        _ selector: VectorSelector, _ value: (LatestSample) -> LatestSample
    ) throws -> [SeriesColumn] {
        guard times.count > 0 else { return [] }
        let lookback = options.lookbackMilliseconds
        let lookups = StepTimes(selector.modifiers, times)
        let hints = SelectHints(stepMilliseconds: times.count > 1 ? times.stepMilliseconds : 0)
        let cursors = try cursors(
            selector, from: lookups.startMilliseconds &- lookback &+ 1, through: lookups.endMilliseconds,
            hints: hints)
        var columns: [SeriesColumn] = []
        var buffer = SampleBuffer()
        for cursor in cursors {
            try context.check()
            var column = SeriesColumn(labels: cursor.labels, count: times.count)
            var filler = LatestFiller(lookups: lookups, lookback: lookback)
            var detection = ResetDetection()
            while try cursor.next(into: &buffer) {
                try countDecoded(buffer)
                if detectsResets { detection.apply(to: &buffer) }
                filler.take(buffer, into: &column, value)
            }
            filler.finish(into: &column, value)
            guard !column.isEmpty else { continue }
            try context.reserve(column.bytes)
            columns.append(column)
        }
        return columns
    }

    /// Reads all samples of a series.
    func fill(_ run: SampleRun, from cursor: any SeriesCursor, _ buffer: inout SampleBuffer) throws {
        try context.check()
        run.removeAll()
        var detection = ResetDetection()
        while try cursor.next(into: &buffer) {
            try countDecoded(buffer)
            if detectsResets { detection.apply(to: &buffer) }
            run.append(buffer)
        }
    }

    func countDecoded(_ buffer: SampleBuffer) throws {
        let samples = buffer.timesMilliseconds.count
        try context.count { statistics in
            statistics.samplesDecoded += samples
            if buffer.aggregate == nil { statistics.chunksDecoded += 1 } else { statistics.chunksSkipped += 1 }
        }
    }
}

extension StepTimes {
    /// Where selectors with these modifiers look at each of `times`.
    init(_ modifiers: TimeModifiers, _ times: StepTimes) {
        self = times
        if let at = modifiers.atMilliseconds {
            startMilliseconds = at
            stepMilliseconds = 0
        }
        startMilliseconds &-= modifiers.offsetMilliseconds
    }
}

/// A sample as a lookup found it.
struct LatestSample {
    var milliseconds: Int64
    var startMilliseconds: Int64
    var value: Double
    var histogram: NativeHistogram?
}

/// Walks over the samples of one series and the steps together, each once.
private struct LatestFiller {
    let lookups: StepTimes
    let lookback: Int64
    private var step = 0
    private var last: LatestSample?

    init(lookups: StepTimes, lookback: Int64) {
        self.lookups = lookups
        self.lookback = lookback
    }

    mutating func take(
        _ buffer: SampleBuffer, into column: inout SeriesColumn, _ value: (LatestSample) -> LatestSample
    ) {
        let times = buffer.timesMilliseconds
        var index = 0
        while step < lookups.count {
            let lookup = lookups[step]
            while index < times.count, times[index] <= lookup { index += 1 }
            if index == times.count { break }
            if index > 0 { last = buffer.sample(at: index - 1) }
            put(lookup, into: &column, value)
        }
        if index > 0, index == times.count { last = buffer.sample(at: index - 1) }
    }

    /// The steps behind the last sample.
    mutating func finish(into column: inout SeriesColumn, _ value: (LatestSample) -> LatestSample) {
        while step < lookups.count { put(lookups[step], into: &column, value) }
    }

    private mutating func put(
        _ lookup: Int64, into column: inout SeriesColumn, _ value: (LatestSample) -> LatestSample
    ) {
        defer { step += 1 }
        guard let last, last.milliseconds > lookup &- lookback else { return }
        if last.histogram == nil, Sample.isStale(last.value) { return }
        let result = value(last)
        if let histogram = result.histogram {
            if !Sample.isStale(histogram.sum) { column.set(histogram, at: step) }
        } else {
            column.values[step] = result.value
        }
    }
}

extension SampleBuffer {
    func sample(at index: Int) -> LatestSample {
        LatestSample(
            milliseconds: timesMilliseconds[index],
            startMilliseconds: startTimesMilliseconds.isEmpty ? 0 : startTimesMilliseconds[index],
            value: histograms.isEmpty ? values[index] : 0,
            histogram: histograms.isEmpty ? nil : histograms[index])
    }
}
