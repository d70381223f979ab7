/// Whether a part of a store works, and what to do when it does not.
public enum StorageHealth: Sendable, Equatable {
    case ready
    /// Not yet, for example replaying its log.
    case starting(String)
    /// Refuses for now and recovers by itself, for example when the disk has room again.
    case refusing(String)
    /// Needs a person: what happened, where, what was kept, what to do.
    case failed(String)
}

/// How many values a label, a metric or a stream set has.
public struct CardinalityEntry: Sendable, Equatable {
    public var name: String
    public var count: Int

    /// `count` of `name`.
    public init(name: String, count: Int) {
        self.name = name
        self.count = count
    }
}

/// The largest contributors to an index, each list falling.
public struct CardinalityReport: Sendable {
    /// Active series or streams.
    public var total: Int
    public var byMetricName: [CardinalityEntry]
    public var byLabelName: [CardinalityEntry]
    public var byLabelPair: [CardinalityEntry]
    /// The span of what is held in memory; nil when that is nothing.
    public var headRange: TimeRange?
    /// The bytes of a label's values, each counted once per series that has it.
    public var bytesByLabelName: [CardinalityEntry] = []
    /// How many different pairs of name and value there are.
    public var labelPairCount = 0
    /// Chunks held in memory.
    public var chunkCount = 0
    /// Samples refused since the start because their series was over a limit, by what the limit is of.
    public var overLimit: [CardinalityEntry] = []

    /// A report.
    public init(
        total: Int, byMetricName: [CardinalityEntry], byLabelName: [CardinalityEntry], byLabelPair: [CardinalityEntry],
        headRange: TimeRange?
    ) {
        self.total = total
        self.byMetricName = byMetricName
        self.byLabelName = byLabelName
        self.byLabelPair = byLabelPair
        self.headRange = headRange
    }
}

/// Something found damaged, set aside and kept for a person to look at.
public struct Quarantined: Sendable, Equatable {
    public var path: String
    /// Where it is damaged, what is missing because of it, and what to do.
    public var reason: String

    /// A damaged file.
    public init(path: String, reason: String) {
        self.path = path
        self.reason = reason
    }
}

/// Counters and gauges a store tells about itself, under the names of `/metrics`.
public struct StoreMetric: Sendable {
    public var name: String
    public var labels: Labels
    public var kind: MetricKind
    public var help: String
    public var value: Double

    /// One reading of one metric.
    public init(_ name: String, _ kind: MetricKind, _ value: Double, help: String, labels: Labels = .empty) {
        self.name = name
        self.labels = labels
        self.kind = kind
        self.help = help
        self.value = value
    }
}

/// Port: what the server may ask of a store besides data. Blocking; called on a thread that may wait for disk.
public protocol StorageAdministration: Sendable {
    /// Brings everything in memory to its final form on disk before it returns.
    func seal() throws
    /// Copies a consistent state of the store into the empty folder `path`.
    func snapshot(to path: String) throws
    /// Forgets what satisfies the matchers within the range. Returns how many series or streams were touched.
    func delete(matching matchers: [LabelMatcher], range: TimeRange) throws -> Int
    /// Takes what was deleted off the disk, where that is not done yet.
    func removeDeleted() throws
    /// Drops what is older than `retentionMilliseconds` before `now` (0 keeps all); returns the bytes freed.
    func enforceRetention(retentionMilliseconds: Int64, nowMilliseconds: Int64) throws -> Int
    /// The largest contributors to the index, at most `limit` per list.
    func cardinality(limit: Int) -> CardinalityReport
    /// Whether writing works.
    var ingestHealth: StorageHealth { get }
    /// Whether reading works.
    var queryHealth: StorageHealth { get }
    /// What was set aside as damaged since the store was created.
    var quarantine: [Quarantined] { get }
    /// The store's own counters.
    var metrics: [StoreMetric] { get }
    /// The bytes of memory held, for the process' cap.
    var memoryBytes: Int { get }
    /// Gives back what can be given back (caches first) until about `bytes` are freed; returns what was freed.
    func releaseMemory(bytes: Int) -> Int
    /// Stops taking, syncs what was taken, closes files. Later calls throw.
    func close() throws
}

extension StorageAdministration {
    /// For stores that do so by themselves.
    public func removeDeleted() throws {}
}
