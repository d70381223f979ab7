/// What the reader intends, so that a store may answer from headers or coarser tiers. Never changes the result.
public struct SelectHints: Sendable {
    /// The function that will be applied to each range (`rate`, `sum_over_time`), empty for none.
    public var function: String
    /// The length of that range, 0 for an instant selector.
    public var windowMilliseconds: Int64
    /// The distance between evaluations, 0 for one.
    public var stepMilliseconds: Int64
    /// The labels an aggregation around it groups by, nil for none.
    public var grouping: [String]?
    /// Whether `grouping` names what is kept (`by`) or dropped (`without`).
    public var isGroupingBy: Bool
    /// Whether the reader looks only at which samples there are: values may be any but the stale marker, which stays.
    public var isOnlyPresence = false

    /// Hints; the defaults say nothing.
    public init(
        function: String = "", windowMilliseconds: Int64 = 0, stepMilliseconds: Int64 = 0, grouping: [String]? = nil,
        isGroupingBy: Bool = true
    ) {
        self.function = function
        self.windowMilliseconds = windowMilliseconds
        self.stepMilliseconds = stepMilliseconds
        self.grouping = grouping
        self.isGroupingBy = isGroupingBy
    }
}

/// A request for series: all matchers must hold, `range` includes both ends.
public struct SeriesRequest: Sendable {
    public var matchers: [LabelMatcher]
    public var range: TimeRange
    public var hints: SelectHints
    /// At most this many series (0: no limit); an answer that was cut says so in a warning.
    public var limit: Int

    /// A request.
    public init(matchers: [LabelMatcher], range: TimeRange, hints: SelectHints = SelectHints(), limit: Int = 0) {
        self.matchers = matchers
        self.range = range
        self.hints = hints
        self.limit = limit
    }
}

/// What a covered chunk's header knows, so that its samples need not be decoded.
public struct ChunkAggregate: Hashable, Sendable {
    public var count: Int
    public var sum: Double
    public var minimum: Double
    public var maximum: Double
    public var first: Sample
    public var last: Sample
    /// How often the value went down from one sample to the next.
    public var resets: Int
    /// The increase of a counter over the chunk, resets added back.
    public var increase: Double

    /// An aggregate of a chunk.
    public init(
        count: Int, sum: Double, minimum: Double, maximum: Double, first: Sample, last: Sample, resets: Int,
        increase: Double
    ) {
        self.count = count
        self.sum = sum
        self.minimum = minimum
        self.maximum = maximum
        self.first = first
        self.last = last
        self.resets = resets
        self.increase = increase
    }
}

/// One chunk of one series, in columns that are reused from chunk to chunk.
///
/// Shape: `timesMilliseconds` and `values` are as long as each other, times strictly rising;
/// `startTimesMilliseconds` is empty or as long. Stale markers are in `values`. A histogram chunk fills `histograms`
/// instead of `values`.
/// Chunks of series that are scraped together may share one array of times, so that a reader that keeps it sees by
/// its address that nothing changed.
/// When `aggregate` is set the columns are empty and the chunk lies wholly within the request's range.
public struct SampleBuffer: Sendable {
    public var timesMilliseconds: [Int64]
    public var values: [Double]
    public var startTimesMilliseconds: [Int64]
    public var histograms: [NativeHistogram]
    public var aggregate: ChunkAggregate?

    /// An empty buffer.
    public init() {
        timesMilliseconds = []
        values = []
        startTimesMilliseconds = []
        histograms = []
        aggregate = nil
    }

    /// Empties the columns; values keep their memory. Times do not: they may be another's too.
    public mutating func removeAll() {
        timesMilliseconds = []
        values.removeAll(keepingCapacity: true)
        if !startTimesMilliseconds.isEmpty { startTimesMilliseconds.removeAll(keepingCapacity: true) }
        if !histograms.isEmpty { histograms.removeAll(keepingCapacity: true) }
        aggregate = nil
    }

    /// Empties all but the values, which `withValues` or an assignment replaces.
    package mutating func removeAllButValues() {
        timesMilliseconds = []
        if !startTimesMilliseconds.isEmpty { startTimesMilliseconds.removeAll(keepingCapacity: true) }
        if !histograms.isEmpty { histograms.removeAll(keepingCapacity: true) }
        aggregate = nil
    }

    /// Makes room for `count` values, all of which `body` writes.
    package mutating func withValues(
        count: Int, _ body: (UnsafeMutablePointer<Double>) throws -> Void
    ) rethrows {
        if values.count < count {
            values.append(contentsOf: repeatElement(0, count: count - values.count))
        } else if values.count > count {
            values.removeLast(values.count - count)
        }
        try values.withUnsafeMutableBufferPointer { values in
            if let start = values.baseAddress { try body(start) }
        }
    }
}

/// The chunks of one series in time order. Used by one thread, may read from disk.
public protocol SeriesCursor: AnyObject {
    var labels: Labels { get }
    /// Fills `buffer` with the next chunk that touches the range, cut to it; false at the end.
    func next(into buffer: inout SampleBuffer) throws -> Bool
}

/// Port: answers which samples had these labels, when. Called on query threads, never on an event loop: it reads disk.
public protocol SeriesSource: Sendable {
    /// One cursor per series, ordered by labels. Damage met on the way is a warning in `context`, not an error.
    func select(_ request: SeriesRequest, in context: QueryContext) throws -> [any SeriesCursor]
    /// The labels of all series with a sample in the range, ordered.
    func series(_ request: SeriesRequest, in context: QueryContext) throws -> [Labels]
    /// The names of all labels of those series, ordered.
    func labelNames(_ request: SeriesRequest, in context: QueryContext) throws -> [String]
    /// The values of one label among those series, ordered.
    func labelValues(_ name: String, _ request: SeriesRequest, in context: QueryContext) throws -> [String]
    /// What producers said about metrics; nil asks for all.
    func metadata(metricName: String?, limit: Int, in context: QueryContext) throws -> [MetricMetadata]
}
