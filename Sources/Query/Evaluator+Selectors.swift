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

    /// Something of the last sample of each series at or before each step, unless it is older than the lookback or
    /// stale.
    func latest(_ selector: VectorSelector, _ content: LatestContent) throws -> [SeriesColumn] {
        try collected(latestStream(selector, content))
    }

    /// As `latest`, series by series.
    func latestStream(_ selector: VectorSelector, _ content: LatestContent) throws -> ColumnStream {
        guard times.count > 0 else { return ColumnStream([]) }
        let lookback = options.lookbackMilliseconds
        let lookups = StepTimes(selector.modifiers, times)
        var hints = SelectHints(stepMilliseconds: times.count > 1 ? times.stepMilliseconds : 0)
        hints.isOnlyPresence = readsOnlyPresence && content == .value
        let start = lookups.startMilliseconds &- lookback &+ 1
        let cursors = Cursors(
            try cursors(selector, from: start, through: lookups.endMilliseconds, hints: hints))
        let filler = LatestFiller(content: content, lookups: lookups, lookback: lookback)
        let samples = cursors.count * (Evaluator.expectedSamples(lookups.endMilliseconds &- start) + times.count)
        return ColumnStream(count: cursors.count, samples: samples) { index, workspace, column in
            let cursor = cursors[index]
            column.reset(cursor.labels, count: times.count)
            let isFilled = try fill(&column, from: cursor, filler, workspace)
            if isFilled, !workspace.stepSamples.isEmpty { column.countPresent(into: &workspace.stepSamples) }
            return isFilled
        }
    }

    private func fill(
        _ column: inout SeriesColumn, from cursor: any SeriesCursor, _ filler: LatestFiller, _ workspace: Workspace
    ) throws -> Bool {
        guard try next(of: cursor, into: &workspace.buffer) else { return false }
        var hasMore = try next(of: cursor, into: &workspace.followingBuffer)
        if !hasMore, filler.content == .value, workspace.buffer.histograms.isEmpty {
            // One chunk of numbers: series that are scraped together find their samples in the same places.
            let times = workspace.buffer.timesMilliseconds
            let places = workspace.lookups.found(for: times, bytes: filler.lookups.count * 4) {
                LookupPlaces(times, filler.lookups, lookback: filler.lookback)
            }
            return places.take(workspace.buffer.values, into: &column.values)
        }
        var filler = filler
        var detection = ResetDetection()
        if detectsResets { detection.apply(to: &workspace.buffer) }
        filler.take(workspace.buffer, into: &column)
        while hasMore {
            if detectsResets { detection.apply(to: &workspace.followingBuffer) }
            filler.take(workspace.followingBuffer, into: &column)
            hasMore = try next(of: cursor, into: &workspace.followingBuffer)
        }
        filler.finish(&column)
        return !column.isEmpty
    }

    /// The next chunk of a series, counted.
    private func next(of cursor: any SeriesCursor, into buffer: inout SampleBuffer) throws -> Bool {
        guard try cursor.next(into: &buffer) else { return false }
        countDecoded(buffer)
        return true
    }

    /// Reads all samples of a series into the workspace's run.
    func fill(from cursor: any SeriesCursor, _ workspace: Workspace) throws {
        let run = workspace.run
        run.removeAll()
        var detection = ResetDetection()
        while try next(of: cursor, into: &workspace.buffer) {
            if detectsResets { detection.apply(to: &workspace.buffer) }
            run.append(&workspace.buffer)
            try workspace.reserve(run.bytes, in: context)
        }
    }

    func countDecoded(_ buffer: SampleBuffer) {
        context.countChunk(samples: buffer.timesMilliseconds.count, isSkipped: buffer.aggregate != nil)
    }

    /// About how many samples a series has in a span, if it is sampled as often as most are.
    static func expectedSamples(_ milliseconds: Int64) -> Int {
        Int(min(max(0, milliseconds / 15_000), 1 << 24)) + 1
    }
}

/// Cursors that several threads use, each of them by one thread.
struct Cursors: @unchecked Sendable {
    private let all: [any SeriesCursor]

    init(_ all: [any SeriesCursor]) {
        self.all = all
    }

    var count: Int { all.count }

    subscript(index: Int) -> any SeriesCursor { all[index] }
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
    let content: LatestContent
    let lookups: StepTimes
    let lookback: Int64
    private var step = 0
    /// The newest sample so far: its time, and what it puts into the column.
    private var lastTime = Int64.min
    private var lastNumber = SeriesColumn.absent
    private var lastHistogram: NativeHistogram?

    init(content: LatestContent, lookups: StepTimes, lookback: Int64) {
        self.content = content
        self.lookups = lookups
        self.lookback = lookback
    }

    mutating func take(_ buffer: SampleBuffer, into column: inout SeriesColumn) {
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
                put(lookup, into: &column)
            }
            if index > taken, index == times.count { remember(buffer, index - 1) }
        }
    }

    /// The steps behind the last sample.
    mutating func finish(_ column: inout SeriesColumn) {
        while step < lookups.count { put(lookups[step], into: &column) }
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
    private mutating func put(_ lookup: Int64, into column: inout SeriesColumn) {
        if lastTime > lookup &- lookback {
            column.values[step] = lastNumber
            if let lastHistogram { column.set(lastHistogram, at: step) }
        }
        step += 1
    }
}

/// Which sample each step finds in some times.
final class LookupPlaces {
    /// The index of the last sample at or before each step, or -1.
    private let places: [Int32]

    /// Finds the places of `lookups` in rising `times`.
    init(_ times: [Int64], _ lookups: StepTimes, lookback: Int64) {
        var places: [Int32] = []
        places.reserveCapacity(lookups.count)
        times.withUnsafeBufferPointer { times in
            // A single look, as at the end of many samples, does not walk over all of them.
            var index = lookups.count == 1 ? times.firstIndexBehind(lookups[0]) : 0
            for step in 0..<lookups.count {
                let lookup = lookups[step]
                while index < times.count, times[index] <= lookup { index += 1 }
                let isNear = index > 0 && times[index - 1] > lookup &- lookback
                places.append(isNear ? Int32(truncatingIfNeeded: index - 1) : -1)
            }
        }
        self.places = places
    }

    /// Puts the samples found into `column`; false when all are stale or there is none. A stale marker is also what
    /// stands for "nothing here".
    func take(_ values: [Double], into column: inout [Double]) -> Bool {
        var isEmpty = true
        places.withUnsafeBufferPointer { places in
            values.withUnsafeBufferPointer { values in
                column.withUnsafeMutableBufferPointer { column in
                    for step in 0..<min(places.count, column.count) where places[step] >= 0 {
                        let value = values[Int(places[step])]
                        column[step] = value
                        isEmpty = isEmpty && SeriesColumn.isAbsent(value)
                    }
                }
            }
        }
        return !isEmpty
    }
}

extension SeriesColumn {
    /// Adds what a look at each step's value cost to `counts`; a histogram counts for its size, as in Prometheus.
    func countPresent(into counts: inout [Int]) {
        for step in 0..<min(counts.count, values.count) {
            if hasNumber(at: step) {
                counts[step] += 1
            } else if let histogram = histogram(at: step) {
                counts[step] += max(1, histogram.memoryBytes / 16)
            }
        }
    }
}

extension UnsafeBufferPointer<Int64> {
    /// The index of the first element above `limit`, of rising ones.
    fileprivate func firstIndexBehind(_ limit: Int64) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle] <= limit { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
