package import Telemetry

/// What a query evaluates to.
package enum QueryValue: Sendable {
    /// A number at a time.
    case scalar(Sample)
    /// A text at a time.
    case string(String, milliseconds: Int64)
    /// At most one point per series, all at one time; in the order of `sort`, `topk` and their like.
    case vector([SeriesPoint])
    /// Points over time per series, ordered by labels unless a function ordered them.
    case matrix([SeriesPoints])
    /// Lines per stream: the answer of a LogQL log query.
    case streams([StreamLines])

    /// The API's `resultType`: `scalar`, `string`, `vector`, `matrix` or `streams`.
    package var typeName: String {
        switch self {
        case .scalar: "scalar"
        case .string: "string"
        case .vector: "vector"
        case .matrix: "matrix"
        case .streams: "streams"
        }
    }
}

/// A point of one series: a number, or a native histogram.
package struct SeriesPoint: Sendable {
    package var labels: Labels
    package var milliseconds: Int64
    /// The number; without meaning when `histogram` is set.
    package var value: Double
    package var histogram: NativeHistogram?

    /// A point of the series `labels`.
    package init(labels: Labels, milliseconds: Int64, value: Double, histogram: NativeHistogram? = nil) {
        self.labels = labels
        self.milliseconds = milliseconds
        self.value = value
        self.histogram = histogram
    }
}

/// The points of one series over time: numbers in columns, histograms beside them.
package struct SeriesPoints: Sendable {
    package var labels: Labels
    /// Rising, as long as `values`.
    package var timesMilliseconds: [Int64]
    package var values: [Double]
    /// Rising, as long as `histograms`; no time is in both.
    package var histogramTimesMilliseconds: [Int64]
    package var histograms: [NativeHistogram]

    /// The points of the series `labels`.
    package init(
        labels: Labels, timesMilliseconds: [Int64] = [], values: [Double] = [],
        histogramTimesMilliseconds: [Int64] = [], histograms: [NativeHistogram] = []
    ) {
        self.labels = labels
        self.timesMilliseconds = timesMilliseconds
        self.values = values
        self.histogramTimesMilliseconds = histogramTimesMilliseconds
        self.histograms = histograms
    }
}

/// The lines of one stream, or of one set of labels a pipeline made, in the query's direction.
package struct StreamLines: Sendable {
    /// One line at its time.
    package struct Line: Sendable {
        package var nanoseconds: Int64
        package var text: [UInt8]
        /// Structured metadata of this line.
        package var metadata: Labels
        /// The labels that stages took from the line.
        package var parsed: Labels
        /// The labels of its stream, as far as stages left them.
        package var own: Labels

        /// A line at a time.
        package init(
            nanoseconds: Int64, text: [UInt8], metadata: Labels = .empty, parsed: Labels = .empty, own: Labels = .empty
        ) {
            self.nanoseconds = nanoseconds
            self.text = text
            self.metadata = metadata
            self.parsed = parsed
            self.own = own
        }
    }

    package var labels: Labels
    package var lines: [Line]

    /// The lines of `labels`.
    package init(labels: Labels, lines: [Line]) {
        self.labels = labels
        self.lines = lines
    }
}
