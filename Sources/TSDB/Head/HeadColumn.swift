internal import Telemetry

/// The samples of one series in one head table, in the order of arrival. Only ever appended to.
///
/// There are as many of these as series: what only few of them need is elsewhere.
struct HeadColumn {
    private var values = ValueStream()
    /// The row of each sample, rising; empty while they are consecutive.
    private var rows: [UInt32] = []
    /// As long as the samples, 0 where not known; empty when none is known.
    private(set) var starts: [Int64] = []
    /// The row of the first sample, for a series that missed none since.
    private var firstRow: UInt32 = 0
    private var sampleCount: UInt32 = 0

    /// The number of samples.
    var count: Int { Int(sampleCount) }

    /// Adds a sample of a row above all others; returns how many bytes more are held, about.
    @inline(__always)
    mutating func append(row: UInt32, bits value: UInt64, start: Int64, _ lines: inout ValueLines) -> Int {
        var bytes = 0
        if sampleCount == 0 { values = ValueStream(value) } else { bytes = values.append(value, &lines) }
        return bytes + place(row, start: start)
    }

    /// The bit patterns of the first `limit` samples; `lines` are those of the table.
    func bits(first limit: Int, _ lines: ValueLines) -> [UInt64] {
        [UInt64](unsafeUninitializedCapacity: limit) { bits, initialized in
            values.read(into: UnsafeMutableBufferPointer(rebasing: bits[..<limit]), lines)
            initialized = limit
        }
    }

    @inline(__always)
    private mutating func place(_ row: UInt32, start: Int64) -> Int {
        var bytes = 0
        if sampleCount == 0 {
            firstRow = row
        } else if !rows.isEmpty || row != firstRow + sampleCount {
            if rows.isEmpty { rows = (0..<sampleCount).map { firstRow + $0 } }
            rows.append(row)
            bytes += 4
        }
        if start != 0, starts.isEmpty { starts = [Int64](repeating: 0, count: count) }
        if start != 0 || !starts.isEmpty {
            starts.append(start)
            bytes += 8
        }
        sampleCount += 1
        return bytes
    }

    /// The row of sample `index`.
    @inline(__always)
    func row(_ index: Int) -> Int { rows.isEmpty ? Int(firstRow) + index : Int(rows[index]) }

    /// Whether it has a sample in every row from the first on.
    var hasEveryRow: Bool { rows.isEmpty && firstRow == 0 }

    /// How many samples lie in rows below `limit`.
    func count(belowRow limit: Int) -> Int {
        guard count > 0, row(count - 1) >= limit else { return count }
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if row(middle) < limit { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// An estimate of the memory held by histograms, which are of any size.
    static func memoryBytes(of histogram: NativeHistogram) -> Int {
        MemoryLayout<NativeHistogram>.stride + 8
            * (histogram.positiveCounts.count + histogram.negativeCounts.count + histogram.customBounds.count
                + histogram.positiveSpans.count + histogram.negativeSpans.count)
    }
}

/// The histograms of one series in one head table, in the order of arrival. Only ever appended to.
struct HeadHistogramColumn {
    private(set) var rows: [UInt32] = []
    private(set) var histograms: [NativeHistogram] = []
    /// 0 where not known.
    private(set) var starts: [Int64] = []

    /// The number of samples.
    var count: Int { rows.count }

    /// Adds a histogram of a row above all others.
    mutating func append(row: UInt32, histogram: NativeHistogram, start: Int64) {
        rows.append(row)
        histograms.append(histogram)
        starts.append(start)
    }

    /// The row of sample `index`.
    func row(_ index: Int) -> Int { Int(rows[index]) }

    /// How many samples lie in rows below `limit`.
    func count(belowRow limit: Int) -> Int { rows.firstIndex { Int($0) >= limit } ?? rows.count }
}
