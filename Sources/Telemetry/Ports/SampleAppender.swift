/// The place of a series in a database; stable while the process lives and meaningless elsewhere.
public struct SeriesID: Hashable, Sendable {
    public let rawValue: UInt64

    /// Wraps a number that the database gave out.
    @inlinable
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }
}

/// A series named by its labels, or by the id an earlier append returned for them.
public enum SeriesReference: Hashable, Sendable {
    case labels(Labels)
    /// Labels again, because an id is a cache: a database that no longer knows it falls back to the labels.
    case known(SeriesID, Labels)

    /// The labels of the series.
    public var labels: Labels {
        switch self {
        case .labels(let labels), .known(_, let labels): labels
        }
    }
}

/// Samples of one target (one scrape, one agent tick, one resource of a foreign sender), in columns.
///
/// Shape: `seriesIndexes`, `timesMilliseconds` and `values` have one element per sample, in the order of arrival;
/// `startTimesMilliseconds` is empty or as long (0 = not known). Indexes point into `series`.
public struct SampleGroup: Sendable {
    /// What makes these series one group, for example the labels `job` and `instance`; empty: derive it from them.
    public var target: Labels
    /// The interval at which the target is read, 0 when not known. A hint for the layout only.
    public var intervalMilliseconds: Int64
    public var series: [SeriesReference]
    public var seriesIndexes: [UInt32]
    public var timesMilliseconds: [Int64]
    public var values: [Double]
    public var startTimesMilliseconds: [Int64]
    public var histograms: [HistogramSample]
    public var exemplars: [ExemplarSample]

    /// An empty group of `target`.
    public init(target: Labels = .empty, intervalMilliseconds: Int64 = 0) {
        self.target = target
        self.intervalMilliseconds = intervalMilliseconds
        series = []
        seriesIndexes = []
        timesMilliseconds = []
        values = []
        startTimesMilliseconds = []
        histograms = []
        exemplars = []
    }

    /// Adds a series with one sample.
    public mutating func append(_ labels: Labels, milliseconds: Int64, value: Double) {
        series.append(.labels(labels))
        seriesIndexes.append(UInt32(series.count - 1))
        timesMilliseconds.append(milliseconds)
        values.append(value)
    }
}

/// A native histogram of one series at one time.
public struct HistogramSample: Sendable {
    /// An index into the group's `series`.
    public var seriesIndex: UInt32
    public var milliseconds: Int64
    /// 0 when not known.
    public var startMilliseconds: Int64
    public var histogram: NativeHistogram

    /// A histogram at a time.
    public init(seriesIndex: UInt32, milliseconds: Int64, startMilliseconds: Int64 = 0, histogram: NativeHistogram) {
        self.seriesIndex = seriesIndex
        self.milliseconds = milliseconds
        self.startMilliseconds = startMilliseconds
        self.histogram = histogram
    }
}

/// An example that a sample points to, usually a trace.
public struct ExemplarSample: Sendable {
    /// An index into the group's `series`.
    public var seriesIndex: UInt32
    public var milliseconds: Int64
    public var value: Double
    public var labels: Labels

    /// An exemplar at a time.
    public init(seriesIndex: UInt32, milliseconds: Int64, value: Double, labels: Labels) {
        self.seriesIndex = seriesIndex
        self.milliseconds = milliseconds
        self.value = value
        self.labels = labels
    }
}

/// What one append carries: groups of samples, metadata, and the delivery it belongs to, if the sender counts.
public struct SampleBatch: Sendable {
    public var groups: [SampleGroup]
    public var metadata: [MetricMetadata]
    public var delivery: DeliveryIdentity?

    /// A batch of `groups`.
    public init(groups: [SampleGroup], metadata: [MetricMetadata] = [], delivery: DeliveryIdentity? = nil) {
        self.groups = groups
        self.metadata = metadata
        self.delivery = delivery
    }

    /// The number of samples, histograms included.
    public var sampleCount: Int { groups.reduce(0) { $0 + $1.values.count + $1.histograms.count } }
}

/// Samples of one series that were not taken, and why. The rest of the batch was.
public struct SampleRejection: Sendable, Equatable {
    /// The reasons a sample can be refused, in Prometheus' words.
    public enum Reason: String, Sendable {
        case outOfOrder = "out of order sample"
        case duplicate = "duplicate sample for timestamp"
        case tooOld = "out of bounds"
        case tooFarAhead = "timestamp is too far in the future"
        case seriesLimit = "series limit exceeded"
        case invalidLabels = "invalid labels"
        case invalidHistogram = "invalid histogram"
    }

    public var labels: Labels
    public var milliseconds: Int64
    public var reason: Reason
    /// What exactly is wrong with the first of them, where the reason alone does not say it.
    public var detail: String?
    /// How many samples of the series this stands for.
    public var count: Int

    /// `count` samples of `labels`, the first at `milliseconds`, refused for `reason`.
    public init(labels: Labels, milliseconds: Int64, reason: Reason, detail: String? = nil, count: Int = 1) {
        self.labels = labels
        self.milliseconds = milliseconds
        self.reason = reason
        self.detail = detail
        self.count = count
    }

    /// The reason and its detail.
    public var explanation: String { detail.map { "\(reason.rawValue): \($0)" } ?? reason.rawValue }
}

/// What became of an append. When this is returned, everything accepted is fsynced.
public struct AppendReceipt: Sendable {
    public var accepted: Int
    public var rejections: [SampleRejection]
    /// Whether the delivery was stored before, and this batch changed nothing.
    public var isDuplicate: Bool
    /// Nil when the batch had no delivery identity.
    public var marks: DeliveryMarks?
    /// The ids of each group's series in the order of the batch, for the next append; empty where there are none, and
    /// for a group that named all its series by ids that hold.
    public var seriesIDs: [[SeriesID]]

    /// A receipt.
    public init(
        accepted: Int, rejections: [SampleRejection] = [], isDuplicate: Bool = false, marks: DeliveryMarks? = nil,
        seriesIDs: [[SeriesID]] = []
    ) {
        self.accepted = accepted
        self.rejections = rejections
        self.isDuplicate = isDuplicate
        self.marks = marks
        self.seriesIDs = seriesIDs
    }
}

/// Why a store could not take a whole append. Nothing of it was acknowledged, all of it may be sent again.
public struct AppendRefusal: Error, Sendable, CustomStringConvertible {
    /// What the sender should do, which decides the HTTP status.
    public enum Kind: String, Sendable {
        /// Too much at once: 429, come again after `retryAfterSeconds`.
        case overloaded
        /// The disk is full or broken, or the store is closing: 503.
        case unavailable
        /// The batch itself cannot be right: 400, do not send it again.
        case malformed
    }

    public var kind: Kind
    /// What happened, where, and what to do.
    public var reason: String
    public var retryAfterSeconds: Int?

    /// A refusal.
    public init(_ kind: Kind, _ reason: String, retryAfterSeconds: Int? = nil) {
        self.kind = kind
        self.reason = reason
        self.retryAfterSeconds = retryAfterSeconds
    }

    public var description: String { reason }
}

/// Port: takes samples and returns when they are on disk.
public protocol SampleAppender: Sendable {
    /// Stores `batch`. Returns after the fsync that covers it; per-series refusals are in the receipt.
    /// Throws `AppendRefusal` when nothing was stored.
    func append(_ batch: SampleBatch) async throws -> AppendReceipt
}
