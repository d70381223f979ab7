internal import Telemetry

/// The values of one series at every step of an evaluation.
///
/// Shape: `values` has one element per step; `absent` says that the series has no number there. `histograms` is empty
/// or has one element per step; where it is not nil, `values` is absent.
struct SeriesColumn: Sendable {
    /// Stands for "nothing here". No computation yields it: the processor sets the quiet bit of every NaN it makes.
    static let absent = Sample.stale

    static func isAbsent(_ value: Double) -> Bool { Sample.isStale(value) }

    var labels: Labels
    /// Whether the metric's name is to be dropped at the end of the query. Until then grouping and matching see it.
    var dropsName = false
    var values: [Double]
    var histograms: [NativeHistogram?] = []

    /// A series without a value at any of `count` steps.
    init(labels: Labels, count: Int) {
        self.labels = labels
        values = [Double](repeating: SeriesColumn.absent, count: count)
    }

    init(labels: Labels, values: [Double], dropsName: Bool = false) {
        self.labels = labels
        self.values = values
        self.dropsName = dropsName
    }

    func hasNumber(at step: Int) -> Bool { !SeriesColumn.isAbsent(values[step]) }

    func histogram(at step: Int) -> NativeHistogram? { histograms.isEmpty ? nil : histograms[step] }

    /// Whether there is a number or a histogram.
    func isPresent(at step: Int) -> Bool { hasNumber(at: step) || histogram(at: step) != nil }

    mutating func set(_ histogram: NativeHistogram?, at step: Int) {
        if histograms.isEmpty {
            guard histogram != nil else { return }
            histograms = [NativeHistogram?](repeating: nil, count: values.count)
        }
        histograms[step] = histogram
    }

    mutating func clear(at step: Int) {
        values[step] = SeriesColumn.absent
        if !histograms.isEmpty { histograms[step] = nil }
    }

    /// Whether no step has a value.
    var isEmpty: Bool {
        values.allSatisfy { SeriesColumn.isAbsent($0) } && histograms.allSatisfy { $0 == nil }
    }

    /// The memory it holds, roughly.
    var bytes: Int { values.count * 8 + labels.encoded.count + histograms.count * 64 + 96 }
}

/// What an expression evaluates to over all steps.
enum Evaluated: Sendable {
    /// One number per step.
    case scalar([Double])
    case string(String)
    case vector([SeriesColumn])
}
