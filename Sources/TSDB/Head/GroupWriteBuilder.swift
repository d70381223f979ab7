internal import Synchronization
internal import Telemetry

/// Collects the samples of one append that go to one group, in any order, and sorts them into rows.
///
/// A scrape, each series once and all at one time, is a row as it comes; only what is none of that is sorted.
struct GroupWriteBuilder {
    private struct PendingHistogram {
        var column: UInt32
        var time: Int64
        var start: Int64
        var histogram: NativeHistogram
    }

    let group: HeadGroup
    /// The newest sample of the group when this began.
    let newestMilliseconds: Int64
    private var isOneRow = true
    private var columns: [UInt32] = []
    private var bits: [UInt64] = []
    /// As long as `bits`, or empty while all are 0.
    private var starts: [Int64] = []
    /// The time of the one row, and of each sample once they are not one.
    private var rowTime: Int64 = 0
    private var times: [Int64] = []
    /// By column: whether the row has it.
    private var seen: [UInt64] = []
    private var histograms: [PendingHistogram] = []

    /// No samples yet, room for so many.
    init(group: HeadGroup, capacity: Int) {
        self.group = group
        newestMilliseconds = group.newestMilliseconds.load(ordering: .relaxed)
        columns.reserveCapacity(capacity)
        bits.reserveCapacity(capacity)
    }

    /// Adds a float.
    mutating func add(column: Int, milliseconds: Int64, bits value: UInt64, start: Int64) {
        if isOneRow {
            if columns.isEmpty { rowTime = milliseconds }
            if milliseconds != rowTime || isSeen(column) { leaveOneRow() }
        }
        if !isOneRow { times.append(milliseconds) }
        if start != 0, starts.isEmpty { starts = [Int64](repeating: 0, count: bits.count) }
        if start != 0 || !starts.isEmpty { starts.append(start) }
        columns.append(UInt32(column))
        bits.append(value)
    }

    /// Adds a float to each of `newColumns`, none of which occurs twice, all at one time.
    mutating func addRow(_ newColumns: [UInt32], milliseconds: Int64, values: [Double], starts newStarts: [Int64]) {
        guard columns.isEmpty, histograms.isEmpty else {
            for index in newColumns.indices {
                add(
                    column: Int(newColumns[index]), milliseconds: milliseconds, bits: values[index].bitPattern,
                    start: newStarts.isEmpty ? 0 : newStarts[index])
            }
            return
        }
        (columns, rowTime, starts) = (newColumns, milliseconds, newStarts)
        bits = values.map(\.bitPattern)
    }

    /// Adds a histogram.
    mutating func add(column: Int, milliseconds: Int64, start: Int64, histogram: NativeHistogram) {
        if isOneRow { leaveOneRow() }
        histograms.append(
            PendingHistogram(column: UInt32(column), time: milliseconds, start: start, histogram: histogram))
    }

    /// Whether the row has the column already; it has from now on.
    private mutating func isSeen(_ column: Int) -> Bool {
        // A row that was added as a whole is not looked at before something is added to it.
        if seen.isEmpty { for known in columns { _ = markSeen(Int(known)) } }
        return markSeen(column)
    }

    private mutating func markSeen(_ column: Int) -> Bool {
        let place = column >> 6
        if place >= seen.count { seen.append(contentsOf: repeatElement(0, count: max(4, place + 1 - seen.count))) }
        let bit: UInt64 = 1 << UInt64(column & 63)
        if seen[place] & bit != 0 { return true }
        seen[place] |= bit
        return false
    }

    private mutating func leaveOneRow() {
        isOneRow = false
        times = [Int64](repeating: rowTime, count: columns.count)
    }

    /// The rows. Of several samples of one series at one time the first stays; `refuse` hears, by column and time, of
    /// the different ones.
    func build(refuse: (Int, Int64) -> Void) -> GroupWrite {
        var write = GroupWrite(group: group)
        guard !isOneRow else {
            if !columns.isEmpty { write.times = [rowTime] }
            (write.columns, write.bits, write.starts) = (columns, bits, starts)
            return write
        }
        write.times = Set(times).union(histograms.map(\.time)).sorted()
        var rowOf: [Int64: UInt32] = [:]
        for (row, time) in write.times.enumerated() { rowOf[time] = UInt32(row) }
        write.columns = Set(columns).union(histograms.map(\.column)).sorted()
        addFloats(to: &write, rowOf, refuse)
        addHistograms(to: &write, rowOf, refuse)
        return write
    }

    private func addFloats(
        to write: inout GroupWrite, _ rowOf: [Int64: UInt32], _ refuse: (Int, Int64) -> Void
    ) {
        let order = columns.indices.sorted { (columns[$0], times[$0], $0) < (columns[$1], times[$1], $1) }
        var place = 0
        write.cellStarts = [0]
        var previous: Int?
        for index in order {
            if let previous, columns[previous] == columns[index], times[previous] == times[index] {
                if bits[previous] != bits[index] { refuse(Int(columns[index]), times[index]) }
                continue
            }
            previous = index
            while write.columns[place] != columns[index] {
                place += 1
                write.cellStarts.append(write.bits.count)
            }
            write.rows.append(rowOf[times[index]] ?? 0)
            write.bits.append(bits[index])
            if !starts.isEmpty { write.starts.append(starts[index]) }
        }
        while write.cellStarts.count <= write.columns.count { write.cellStarts.append(write.bits.count) }
    }

    private func addHistograms(
        to write: inout GroupWrite, _ rowOf: [Int64: UInt32], _ refuse: (Int, Int64) -> Void
    ) {
        let order = histograms.indices.sorted {
            (histograms[$0].column, histograms[$0].time, $0) < (histograms[$1].column, histograms[$1].time, $1)
        }
        var place = 0
        var previous: PendingHistogram?
        for index in order {
            let cell = histograms[index]
            if let previous, previous.column == cell.column, previous.time == cell.time {
                if !previous.histogram.isIdentical(to: cell.histogram) { refuse(Int(cell.column), cell.time) }
                continue
            }
            previous = cell
            while write.columns[place] != cell.column { place += 1 }
            write.histograms.append(
                GroupWrite.HistogramCell(
                    series: place, row: Int(rowOf[cell.time] ?? 0), start: cell.start, histogram: cell.histogram))
        }
    }
}
