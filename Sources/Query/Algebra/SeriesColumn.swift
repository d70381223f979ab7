internal import CKernels
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

    /// Makes it the column of another series without a value; the memory is used again.
    mutating func reset(_ labels: Labels, count: Int) {
        self.labels = labels
        dropsName = false
        if !histograms.isEmpty { histograms = [] }
        guard values.count == count else {
            values = [Double](repeating: SeriesColumn.absent, count: count)
            return
        }
        values.withUnsafeMutableBufferPointer { $0.update(repeating: SeriesColumn.absent) }
    }

    /// An empty column to be `reset`.
    static var blank: SeriesColumn { SeriesColumn(labels: .empty, values: []) }

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
    var isEmpty: Bool { hasNoNumber && (histograms.isEmpty || histograms.allSatisfy { $0 == nil }) }

    /// The numbers alone; nil when there is none.
    var withoutHistograms: SeriesColumn? {
        guard !histograms.isEmpty else { return self }
        var numbers = self
        numbers.histograms = []
        return numbers.hasNoNumber ? nil : numbers
    }

    /// Whether no step has a number.
    var hasNoNumber: Bool {
        vedette_all_absent(values, values.count, Sample.staleBits) != 0
    }

    /// The memory it holds, roughly.
    var bytes: Int {
        SeriesColumn.bytes(steps: values.count, labels)
            + histograms.reduce(histograms.count * 8) { $0 + ($1?.memoryBytes ?? 0) }
    }

    /// The memory of a column without histograms, roughly.
    static func bytes(steps: Int, _ labels: Labels) -> Int { steps * 8 + labels.encoded.count + 128 }
}

/// What an expression evaluates to over all steps.
enum Evaluated: Sendable {
    /// One number per step.
    case scalar([Double])
    case string(String)
    case vector([SeriesColumn])
}

extension NativeHistogram {
    /// The memory it holds, roughly.
    var memoryBytes: Int {
        let numbers = positiveCounts.count + negativeCounts.count + customBounds.count
        return MemoryLayout<NativeHistogram>.stride + 8 * (numbers + positiveSpans.count + negativeSpans.count)
    }
}
