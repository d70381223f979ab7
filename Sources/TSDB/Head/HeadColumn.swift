internal import Telemetry

/// The samples of one series in one head table, in the order of arrival. Only ever appended to.
struct HeadColumn {
    /// The row of the first sample, for a series that missed none since.
    private var firstRow: UInt32 = 0
    /// The row of each sample, rising; empty while they are consecutive.
    private var rows: [UInt32] = []
    /// Of floats; empty for a histogram column.
    private var values = ValueStream()
    private(set) var histograms: [NativeHistogram] = []
    /// As long as the samples, 0 where not known; empty when none is known.
    private(set) var starts: [Int64] = []
    private(set) var count = 0

    /// Adds a sample of a row above all others; returns how many bytes more are held, about.
    mutating func append(row: UInt32, bits value: UInt64, start: Int64) -> Int {
        place(row, start: start)
        return values.append(value) + (rows.isEmpty ? 0 : 4) + (starts.isEmpty ? 0 : 8)
    }

    /// The bit patterns of the first `limit` samples; empty for a histogram column.
    func bits(first limit: Int) -> [UInt64] { histograms.isEmpty ? values.values(first: limit) : [] }

    /// Adds a histogram of a row above all others.
    mutating func append(row: UInt32, histogram: NativeHistogram, start: Int64) {
        place(row, start: start)
        histograms.append(histogram)
    }

    private mutating func place(_ row: UInt32, start: Int64) {
        if count == 0 {
            firstRow = row
        } else if !rows.isEmpty {
            rows.append(row)
        } else if row != firstRow + UInt32(count) {
            rows = (0..<UInt32(count)).map { firstRow + $0 }
            rows.append(row)
        }
        if start != 0, starts.isEmpty { starts = [Int64](repeating: 0, count: count) }
        if start != 0 || !starts.isEmpty { starts.append(start) }
        count += 1
    }

    /// The row of sample `index`.
    @inline(__always)
    func row(_ index: Int) -> Int { rows.isEmpty ? Int(firstRow) + index : Int(rows[index]) }

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
