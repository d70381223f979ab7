/// An example that a series points to, usually a trace, as it was stored.
public struct Exemplar: Hashable, Sendable {
    public var labels: Labels
    public var milliseconds: Int64
    public var value: Double

    /// An exemplar at a time.
    public init(labels: Labels, milliseconds: Int64, value: Double) {
        self.labels = labels
        self.milliseconds = milliseconds
        self.value = value
    }
}

/// The exemplars of one series, times rising.
public struct SeriesExemplars: Hashable, Sendable {
    public var labels: Labels
    public var exemplars: [Exemplar]

    /// Exemplars of the series with these labels.
    public init(labels: Labels, exemplars: [Exemplar]) {
        self.labels = labels
        self.exemplars = exemplars
    }
}

/// Port: answers which exemplars series have, for `/api/v1/query_exemplars`. From memory; never waits for a disk.
public protocol ExemplarSource: Sendable {
    /// The exemplars within `range`, both ends included, of the series that satisfy all matchers of at least one of
    /// `selectors`: one entry per series with any, ordered by labels. A query with several selectors is one call.
    func exemplars(
        selectors: [[LabelMatcher]], range: TimeRange, in context: QueryContext
    ) throws -> [SeriesExemplars]
}
