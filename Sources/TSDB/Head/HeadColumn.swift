internal import Telemetry

/// The samples of one series in one head table, in the order of arrival. Only ever appended to.
///
/// The newest values stand as they are, in one cache line beside the column's head, so that an append touches nothing
/// else; when the line is full they are compressed together.
struct HeadColumn {
    /// The values that wait to be compressed.
    private typealias Line = (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)
    private static let lineCount = 8

    private var line: Line = (0, 0, 0, 0, 0, 0, 0, 0)
    /// The row of the first sample, for a series that missed none since.
    private var firstRow: UInt32 = 0
    private var sampleCount: UInt32 = 0
    /// The row of each sample, rising; empty while they are consecutive.
    private var rows: [UInt32] = []
    /// All values but those in the line.
    private var values = ValueStream()
    /// As long as the samples, 0 where not known; empty when none is known.
    private(set) var starts: [Int64] = []

    /// The number of samples.
    var count: Int { Int(sampleCount) }

    /// Adds a sample of a row above all others; returns how many bytes more are held, about.
    @inline(__always)
    mutating func append(row: UInt32, bits value: UInt64, start: Int64) -> Int {
        let place = Int(sampleCount) % Self.lineCount
        withUnsafeMutableBytes(of: &line) { $0.storeBytes(of: value, toByteOffset: place * 8, as: UInt64.self) }
        var bytes = self.place(row, start: start)
        if place == Self.lineCount - 1 { bytes += compressLine() }
        return bytes
    }

    private mutating func compressLine() -> Int {
        let full = line
        return withUnsafeBytes(of: full) { values.append($0.bindMemory(to: UInt64.self)) }
    }

    /// The bit patterns of the first `limit` samples.
    func bits(first limit: Int) -> [UInt64] {
        [UInt64](unsafeUninitializedCapacity: limit) { bits, initialized in
            bits.initialize(repeating: 0)
            read(into: UnsafeMutableBufferPointer(rebasing: bits[..<limit]))
            initialized = limit
        }
    }

    /// Writes the bit patterns of the first samples, of which there must be as many.
    func read(into bits: UnsafeMutableBufferPointer<UInt64>) {
        let compressed = min(bits.count, count - count % Self.lineCount)
        values.read(into: UnsafeMutableBufferPointer(rebasing: bits[..<compressed]))
        withUnsafeBytes(of: line) { line in
            for index in compressed..<bits.count {
                bits[index] = line.load(fromByteOffset: (index - compressed) * 8, as: UInt64.self)
            }
        }
    }

    /// The row of the first sample, where the others follow without a gap; nil where they do not.
    var rowsWithoutGap: Int? { rows.isEmpty ? Int(firstRow) : nil }

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
