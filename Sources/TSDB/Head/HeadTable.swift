internal import Disk
internal import Synchronization
internal import Telemetry

/// Rows of one group that are not in a block yet: one time per row, one column per series.
///
/// A row belongs to one append and never changes afterwards, so a reader that remembers how many rows there were sees
/// the table as it was then, while appends go on. Two appends at the same time make two rows of that time; they become
/// one when the table is sealed.
final class HeadTable: Sendable {
    /// What the lock guards.
    struct Rows {
        var times: [Int64] = []
        /// By the group's column numbers; shorter than the group when its last series have no sample here.
        var columns: [HeadColumn] = []
        fileprivate(set) var extras = ColumnExtras()
        var histogramColumns: [Int: HeadHistogramColumn] = [:]
        var minimumMilliseconds = Int64.max
        var maximumMilliseconds = Int64.min
        /// Whether times never fall from row to row.
        var isSorted = true
        /// Rows later than all before them: what counts for the length of a chunk.
        fileprivate(set) var risingRowCount = 0
        /// Whether it takes what is filled in for the past.
        let isBackfill: Bool
        var sampleCount = 0
        /// The place in the log of the first row.
        var firstPosition: LogPosition?
        /// When the first row came, by the wall clock.
        var firstAppendMilliseconds = Int64.max
        var memoryBytes = 0

        init(isBackfill: Bool) {
            self.isBackfill = isBackfill
        }

        /// The rows that make a chunk worth writing. What is filled in comes in any order, many chunks at a time.
        var chunkRowCount: Int { isBackfill ? times.count / 8 : risingRowCount }
    }

    let rows: Mutex<Rows>

    /// A table without rows.
    init(isBackfill: Bool = false) {
        rows = Mutex(Rows(isBackfill: isBackfill))
    }

    /// A table as a reader saw it.
    struct Snapshot: Sendable {
        let table: HeadTable
        let rowCount: Int
        let times: TimeRange
    }

    /// The table as it is now; nil when it is empty.
    func snapshot() -> Snapshot? {
        rows.withLock { rows in
            guard !rows.times.isEmpty else { return nil }
            let times = TimeRange(
                startMilliseconds: rows.minimumMilliseconds, endMilliseconds: rows.maximumMilliseconds)
            return Snapshot(table: self, rowCount: rows.times.count, times: times)
        }
    }
}

extension HeadTable.Rows {
    /// Adds rows; returns the number of the first.
    mutating func appendTimes(_ new: [Int64], position: LogPosition, nowMilliseconds: Int64) -> Int {
        if firstPosition == nil {
            firstPosition = position
            firstAppendMilliseconds = nowMilliseconds
        }
        let first = times.count
        for time in new {
            if time > maximumMilliseconds { risingRowCount += 1 }
            if time < maximumMilliseconds { isSorted = false }
            maximumMilliseconds = max(maximumMilliseconds, time)
            minimumMilliseconds = min(minimumMilliseconds, time)
            times.append(time)
        }
        memoryBytes += new.count * 8
        return first
    }

    /// Adds one row of floats: `bits[i]` to `columns[i]`, none of which may occur twice.
    mutating func append(row: Int, columns wanted: [UInt32], bits: [UInt64], starts: [Int64]) {
        if let last = wanted.max() { grow(to: Int(last) + 1) }
        let row = UInt32(row)
        var bytes = 0
        var extras = ColumnExtras()
        swap(&extras, &self.extras)
        columns.withUnsafeMutableBufferPointer { columns in
            for index in wanted.indices {
                bytes += columns[Int(wanted[index])].append(
                    row: row, bits: bits[index], start: starts.isEmpty ? 0 : starts[index], &extras)
            }
        }
        swap(&extras, &self.extras)
        memoryBytes += bytes
        sampleCount += wanted.count
    }

    /// Adds a float to a column.
    mutating func append(column: Int, row: Int, bits: UInt64, start: Int64) {
        grow(to: column + 1)
        memoryBytes += columns[column].append(row: UInt32(row), bits: bits, start: start, &extras)
        sampleCount += 1
    }

    private mutating func grow(to count: Int) {
        let missing = count - columns.count
        guard missing > 0 else { return }
        columns.makeRoomGradually(for: count)
        columns.append(contentsOf: repeatElement(HeadColumn(), count: missing))
        memoryBytes += missing * MemoryLayout<HeadColumn>.stride
    }

    /// Adds a histogram to a column.
    mutating func append(column: Int, row: Int, histogram: NativeHistogram, start: Int64) {
        histogramColumns[column, default: HeadHistogramColumn()]
            .append(row: UInt32(row), histogram: histogram, start: start)
        sampleCount += 1
        memoryBytes += HeadColumn.memoryBytes(of: histogram)
    }

    /// The bit patterns of all samples of a column.
    func bits(of column: HeadColumn) -> [UInt64] { column.bits(first: column.count, extras) }

    /// How many samples, histograms included, a column has in rows below `limit`.
    func count(ofColumn column: Int, belowRow limit: Int) -> Int {
        let floats = column < columns.count ? columns[column].count(belowRow: limit, extras) : 0
        return floats + (histogramColumns[column]?.count(belowRow: limit) ?? 0)
    }

    /// The value a series has at a time already.
    func bits(column: Int, at time: Int64) -> UInt64? {
        guard column < columns.count, minimumMilliseconds <= time, time <= maximumMilliseconds else { return nil }
        let found = columns[column]
        let rows = found.rows(extras)
        return index(of: time, count: found.count) { rows[$0] }.flatMap { found.bits(first: $0 + 1, extras).last }
    }

    /// The histogram a series has at a time already.
    func histogram(column: Int, at time: Int64) -> NativeHistogram? {
        guard let found = histogramColumns[column] else { return nil }
        return index(of: time, count: found.count) { found.row($0) }.map { found.histograms[$0] }
    }

    private func index(of time: Int64, count: Int, row: (Int) -> Int) -> Int? {
        guard isSorted else { return (0..<count).first { times[row($0)] == time } }
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if times[row(middle)] < time { low = middle + 1 } else { high = middle }
        }
        return low < count && times[row(low)] == time ? low : nil
    }

    /// The samples of a column in rows below `rowLimit` and within `range`, in time order.
    func samples(
        of column: HeadColumn, belowRow rowLimit: Int, in range: TimeRange, into run: inout SampleRun
    ) {
        let count = column.count(belowRow: rowLimit, extras)
        let bits = column.bits(first: count, extras)
        let (rows, starts) = (column.rows(extras), column.starts(extras))
        forEachSample(count, in: range, row: { rows[$0] }) { index, time in
            run.timesMilliseconds.append(time)
            run.bits.append(bits[index])
            if !starts.isEmpty { run.starts.append(starts[index]) }
        }
    }

    /// As of floats.
    func samples(
        of column: HeadHistogramColumn, belowRow rowLimit: Int, in range: TimeRange, into run: inout SampleRun
    ) {
        let count = column.count(belowRow: rowLimit)
        forEachSample(count, in: range, row: { column.row($0) }) { index, time in
            run.timesMilliseconds.append(time)
            run.histograms.append(column.histograms[index])
            run.starts.append(column.starts[index])
        }
    }

    private func forEachSample(
        _ count: Int, in range: TimeRange, row: (Int) -> Int, _ body: (Int, Int64) -> Void
    ) {
        if isSorted {
            for index in 0..<count {
                let time = times[row(index)]
                if range.contains(time) { body(index, time) }
            }
            return
        }
        for index in (0..<count).sorted(by: { (times[row($0)], $0) < (times[row($1)], $1) }) {
            let time = times[row(index)]
            if range.contains(time) { body(index, time) }
        }
    }
}

/// Samples of one series from one place, in time order, before they are merged with those of other places.
struct SampleRun {
    var timesMilliseconds: [Int64] = []
    /// Bit patterns, or empty for histograms.
    var bits: [UInt64] = []
    /// As long as the times, or empty.
    var starts: [Int64] = []
    var histograms: [NativeHistogram] = []

    var isHistogram: Bool { !histograms.isEmpty }
    var count: Int { timesMilliseconds.count }

    /// The memory held.
    var memoryBytes: Int {
        count * 16 + starts.count * 8 + histograms.reduce(0) { $0 + HeadColumn.memoryBytes(of: $1) }
    }
}
