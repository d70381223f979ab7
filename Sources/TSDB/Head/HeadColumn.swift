internal import Telemetry

/// The samples of one series in one head table, in the order of arrival. Only ever appended to.
///
/// There are as many of these as series: what only few of them need is in the table's `ColumnExtras`, which every call
/// is given.
struct HeadColumn {
    private var values = ValueStream()
    /// The row of the first sample, for a series that missed none since.
    private var firstRow: UInt32 = 0
    private var sampleCount: UInt32 = 0
    /// The number of its placement in the extras; -1 while it has none.
    private var placement: Int32 = -1

    /// The number of samples.
    var count: Int { Int(sampleCount) }

    /// Adds a sample of a row above all others; returns how many bytes more are held, about.
    @inline(__always)
    mutating func append(row: UInt32, bits value: UInt64, start: Int64, _ extras: inout ColumnExtras) -> Int {
        var bytes = 0
        if sampleCount == 0 {
            firstRow = row
            values = ValueStream(value)
        } else {
            bytes = values.append(value, &extras.lines)
        }
        if placement >= 0 || start != 0 || row != firstRow + sampleCount {
            bytes += place(row, start: start, &extras)
        }
        sampleCount += 1
        return bytes
    }

    private mutating func place(_ row: UInt32, start: Int64, _ extras: inout ColumnExtras) -> Int {
        var bytes = 0
        if placement < 0 {
            placement = extras.addPlacement()
            bytes += MemoryLayout<ColumnExtras.Placement>.stride
        }
        return bytes + extras.placements[Int(placement)].add(row, start: start, behind: Int(sampleCount), of: firstRow)
    }

    /// The bit patterns of the first `limit` samples.
    func bits(first limit: Int, _ extras: ColumnExtras) -> [UInt64] {
        [UInt64](unsafeUninitializedCapacity: limit) { bits, initialized in
            read(into: UnsafeMutableBufferPointer(rebasing: bits[..<limit]), extras)
            initialized = limit
        }
    }

    /// Writes the bit patterns of the first samples, of which there must be as many.
    func read(into bits: UnsafeMutableBufferPointer<UInt64>, _ extras: ColumnExtras) {
        values.read(into: bits, extras.lines)
    }

    /// The row of the first sample, where the others follow without a gap and no start time is known; nil otherwise.
    var rowsWithoutGap: Int? { placement < 0 ? Int(firstRow) : nil }

    /// The rows of its samples.
    func rows(_ extras: ColumnExtras) -> ColumnRows {
        ColumnRows(first: Int(firstRow), listed: placement < 0 ? [] : extras.placements[Int(placement)].rows)
    }

    /// As long as the samples, 0 where not known; empty when none is known.
    func starts(_ extras: ColumnExtras) -> [Int64] { placement < 0 ? [] : extras.placements[Int(placement)].starts }

    /// Whether it has a sample in every row from the first on, and knows no start time.
    var isPlain: Bool { placement < 0 && firstRow == 0 }

    /// How many samples lie in rows below `limit`.
    func count(belowRow limit: Int, _ extras: ColumnExtras) -> Int {
        let rows = rows(extras)
        guard count > 0, rows[count - 1] >= limit else { return count }
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if rows[middle] < limit { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// In which rows the samples of a column are.
struct ColumnRows {
    fileprivate let first: Int
    /// Empty where they are consecutive from the first on.
    fileprivate let listed: [UInt32]

    /// The row of a sample.
    @inline(__always)
    subscript(index: Int) -> Int { listed.isEmpty ? first + index : Int(listed[index]) }
}

/// What only some columns of a table need.
struct ColumnExtras {
    /// Rows and start times of a column that missed rows or knows when its counter began.
    struct Placement {
        /// The row of each sample, rising; empty while they are consecutive.
        fileprivate(set) var rows: [UInt32] = []
        /// As long as the samples, 0 where not known; empty when none is known.
        fileprivate(set) var starts: [Int64] = []

        /// Adds what is known of the sample behind `count` others, the first of which lies in `firstRow`; returns how
        /// many bytes more are held.
        fileprivate mutating func add(_ row: UInt32, start: Int64, behind count: Int, of firstRow: UInt32) -> Int {
            var bytes = 0
            if !rows.isEmpty || row != firstRow + UInt32(count) {
                if rows.isEmpty { rows = (0..<UInt32(count)).map { firstRow + $0 } }
                rows.append(row)
                bytes += 4
            }
            if start != 0, starts.isEmpty { starts = [Int64](repeating: 0, count: count) }
            if start != 0 || !starts.isEmpty {
                starts.append(start)
                bytes += 8
            }
            return bytes
        }
    }

    /// The newest values of those that change.
    var lines = ValueLines()
    fileprivate(set) var placements: [Placement] = []

    /// A new placement; its number.
    fileprivate mutating func addPlacement() -> Int32 {
        placements.appendGradually(Placement())
        return Int32(placements.count - 1)
    }
}

extension HeadColumn {
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
