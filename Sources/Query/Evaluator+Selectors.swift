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
        selector.extent == .smoothed ? try smoothed(selector) : try latest(selector, .value)
    }

    /// As `instantVector`, with something of each sample in place of its value.
    func latest(_ selector: VectorSelector, _ content: LatestContent) throws -> [SeriesColumn] {
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
            var filler = LatestFiller(
                column: SeriesColumn(labels: cursor.labels, count: times.count), content: content, lookups: lookups,
                lookback: lookback)
            var detection = ResetDetection()
            while try cursor.next(into: &buffer) {
                try countDecoded(buffer)
                if detectsResets { detection.apply(to: &buffer) }
                filler.take(buffer)
            }
            filler.finish()
            guard !filler.column.isEmpty else { continue }
            try context.reserve(filler.column.bytes)
            columns.append(filler.column)
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

/// What a lookup puts into the column.
enum LatestContent {
    case value
    /// When the sample was taken, in seconds.
    case time
    /// As `time`, and a histogram stays one, so that it can be told from a number.
    case numberTime
    /// When its counter began, in seconds.
    case startTime
}

/// Walks over the samples of one series and the steps together, each once.
private struct LatestFiller {
    private(set) var column: SeriesColumn
    private let content: LatestContent
    private let lookups: StepTimes
    private let lookback: Int64
    private var step = 0
    /// The newest sample so far: its time, and what it puts into the column.
    private var lastTime = Int64.min
    private var lastNumber = SeriesColumn.absent
    private var lastHistogram: NativeHistogram?

    init(column: SeriesColumn, content: LatestContent, lookups: StepTimes, lookback: Int64) {
        self.column = column
        self.content = content
        self.lookups = lookups
        self.lookback = lookback
    }

    mutating func take(_ buffer: SampleBuffer) {
        buffer.timesMilliseconds.withUnsafeBufferPointer { times in
            var index = 0
            var taken = 0
            while step < lookups.count {
                let lookup = lookups[step]
                while index < times.count, times[index] <= lookup { index += 1 }
                if index == times.count { break }
                if index > taken {
                    remember(buffer, index - 1)
                    taken = index
                }
                put(lookup)
            }
            if index > taken, index == times.count { remember(buffer, index - 1) }
        }
    }

    /// The steps behind the last sample.
    mutating func finish() {
        while step < lookups.count { put(lookups[step]) }
    }

    private mutating func remember(_ buffer: SampleBuffer, _ index: Int) {
        lastTime = buffer.timesMilliseconds[index]
        lastHistogram = nil
        lastNumber = SeriesColumn.absent
        let isHistogram = !buffer.histograms.isEmpty
        let isStale = Sample.isStale(isHistogram ? buffer.histograms[index].sum : buffer.values[index])
        if isStale { return }
        switch content {
        case .value:
            if isHistogram { lastHistogram = buffer.histograms[index] } else { lastNumber = buffer.values[index] }
        case .numberTime where isHistogram: lastHistogram = buffer.histograms[index]
        case .time, .numberTime: lastNumber = Double(lastTime) / 1000
        case .startTime:
            let starts = buffer.startTimesMilliseconds
            lastNumber = Double(starts.isEmpty ? 0 : starts[index]) / 1000
        }
    }

    @inline(__always)
    private mutating func put(_ lookup: Int64) {
        if lastTime > lookup &- lookback {
            column.values[step] = lastNumber
            if let lastHistogram { column.set(lastHistogram, at: step) }
        }
        step += 1
    }
}
