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
        var histogramColumns: [Int: HeadColumn] = [:]
        var minimumMilliseconds = Int64.max
        var maximumMilliseconds = Int64.min
        /// Whether times never fall from row to row.
        var isSorted = true
        /// Rows later than all before them: what counts for the length of a chunk.
        var risingRowCount = 0
        var sampleCount = 0
        /// The place in the log of the first row.
        var firstPosition: LogPosition?
        /// When the first row came, by the wall clock.
        var firstAppendMilliseconds = Int64.max
        var memoryBytes = 0
    }

    let rows = Mutex(Rows())

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

    /// Adds a float to a column.
    mutating func append(column: Int, row: Int, bits: UInt64, start: Int64) {
        while columns.count <= column {
            columns.append(HeadColumn())
            memoryBytes += MemoryLayout<HeadColumn>.stride + 48
        }
        memoryBytes += columns[column].append(row: UInt32(row), bits: bits, start: start)
        sampleCount += 1
    }

    /// Adds a histogram to a column.
    mutating func append(column: Int, row: Int, histogram: NativeHistogram, start: Int64) {
        histogramColumns[column, default: HeadColumn()].append(row: UInt32(row), histogram: histogram, start: start)
        sampleCount += 1
        memoryBytes += HeadColumn.memoryBytes(of: histogram)
    }

    /// The value a series has at a time already.
    func bits(column: Int, at time: Int64) -> UInt64? {
        guard column < columns.count, minimumMilliseconds <= time, time <= maximumMilliseconds else { return nil }
        return index(of: time, in: columns[column]).flatMap { columns[column].bits(first: $0 + 1).last }
    }

    /// The histogram a series has at a time already.
    func histogram(column: Int, at time: Int64) -> NativeHistogram? {
        guard let found = histogramColumns[column] else { return nil }
        return index(of: time, in: found).map { found.histograms[$0] }
    }

    private func index(of time: Int64, in column: HeadColumn) -> Int? {
        guard isSorted else { return (0..<column.count).first { times[column.row($0)] == time } }
        var low = 0
        var high = column.count
        while low < high {
            let middle = (low + high) / 2
            if times[column.row(middle)] < time { low = middle + 1 } else { high = middle }
        }
        return low < column.count && times[column.row(low)] == time ? low : nil
    }

    /// The samples of a column in rows below `rowLimit` and within `range`, in time order.
    func samples(
        of column: HeadColumn, belowRow rowLimit: Int, in range: TimeRange, into run: inout SampleRun
    ) {
        let count = column.count(belowRow: rowLimit)
        var order: [Int]?
        if !isSorted {
            order = (0..<count).sorted { (times[column.row($0)], $0) < (times[column.row($1)], $1) }
        }
        let bits = column.bits(first: count)
        for place in 0..<count {
            let index = order?[place] ?? place
            let time = times[column.row(index)]
            guard range.contains(time) else { continue }
            run.timesMilliseconds.append(time)
            if column.histograms.isEmpty {
                run.bits.append(bits[index])
            } else {
                run.histograms.append(column.histograms[index])
            }
            if !column.starts.isEmpty { run.starts.append(column.starts[index]) }
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
