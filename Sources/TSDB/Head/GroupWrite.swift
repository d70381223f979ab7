internal import Synchronization
internal import Telemetry

/// New rows of one group: what a record of the log carries, and what the head applies once the record is synced.
struct GroupWrite: Sendable {
    /// A histogram of one series in one of the rows.
    struct HistogramCell: Sendable {
        /// An index into `columns`.
        var series: Int
        var row: Int
        var start: Int64
        var histogram: NativeHistogram
    }

    let group: HeadGroup
    /// Whether blocks may have samples of these series at these times.
    var mayBeSealed = false
    /// The time of each row, strictly rising.
    var times: [Int64] = []
    /// The columns of the series with samples, each once.
    var columns: [UInt32] = []
    /// Where the cells of each series begin, and the end of the last; empty for one row in which each series has one.
    var cellStarts: [Int] = []
    /// The row of each cell, rising within a series; empty for one row.
    var rows: [UInt32] = []
    var bits: [UInt64] = []
    /// As long as `bits`, or empty.
    var starts: [Int64] = []
    var histograms: [HistogramCell] = []

    /// The number of samples.
    var sampleCount: Int { bits.count + histograms.count }

    /// Whether it is one row in which each series has one float.
    var isOneRow: Bool { cellStarts.isEmpty }

    /// The cells of one series.
    func cells(of index: Int) -> Range<Int> {
        isOneRow ? index..<index + 1 : cellStarts[index]..<cellStarts[index + 1]
    }

    /// The row of a cell.
    func row(of cell: Int) -> Int { isOneRow ? 0 : Int(rows[cell]) }

    /// No rows yet.
    init(group: HeadGroup) {
        self.group = group
    }

    /// More bytes than its part of a record takes.
    var encodedBytesMaximum: Int {
        let longest = group.labelBytesMaximum.load(ordering: .relaxed)
        let labels = min(group.labelBytes.load(ordering: .relaxed), columns.count * longest)
        let samples = times.count * 10 + bits.count * (starts.isEmpty ? 15 : 26)
        return 64 + group.target.encoded.count + labels + columns.count * 32 + samples + histogramBytes
    }

    private var histogramBytes: Int {
        histograms.reduce(0) { $0 + 64 + 2 * HeadColumn.memoryBytes(of: $1.histogram) }
    }
}

extension GroupWrite {
    /// About the bytes of its part of a record.
    var bytesEstimate: Int {
        let limit = encodedBytesMaximum
        // Close to what a frame may hold, the estimate must not be too low.
        guard limit < 8 << 20 else { return limit }
        return min(limit, 32 + columns.count * 2 + times.count * 4 + bits.count * 6 + starts.count * 4 + histogramBytes)
    }

    /// The same rows in pieces of about `maximumBytes`, cut between series.
    func split(maximumBytes: Int) -> [GroupWrite] {
        guard columns.count > 1, encodedBytesMaximum > maximumBytes else { return [self] }
        let middle = columns.count / 2
        return part(0..<middle).split(maximumBytes: maximumBytes)
            + part(middle..<columns.count).split(maximumBytes: maximumBytes)
    }

    private func part(_ numbers: Range<Int>) -> GroupWrite {
        var part = GroupWrite(group: group)
        part.mayBeSealed = mayBeSealed
        part.times = times
        part.columns = Array(columns[numbers])
        let cells = cells(of: numbers.lowerBound).lowerBound..<cells(of: numbers.upperBound - 1).upperBound
        if !isOneRow {
            part.cellStarts = cellStarts[numbers.lowerBound...numbers.upperBound].map { $0 - cells.lowerBound }
            part.rows = Array(rows[cells])
        }
        part.bits = Array(bits[cells])
        if !starts.isEmpty { part.starts = Array(starts[cells]) }
        part.histograms = histograms.compactMap { cell in
            guard numbers.contains(cell.series) else { return nil }
            var moved = cell
            moved.series -= numbers.lowerBound
            return moved
        }
        return part
    }
}

extension GroupWrite {
    /// The same without some cells and histograms, and without series and rows that have none left.
    func removing(cells gone: Set<Int>, histograms goneHistograms: Set<Int>) -> GroupWrite {
        if gone.isEmpty, goneHistograms.isEmpty { return self }
        let kept = bits.indices.filter { !gone.contains($0) }
        let keptHistograms = histograms.indices.filter { !goneHistograms.contains($0) }
        let used = Set(kept.map { row(of: $0) } + keptHistograms.map { histograms[$0].row }).sorted()
        var rowOf: [Int: Int] = [:]
        for (row, old) in used.enumerated() { rowOf[old] = row }
        var left = GroupWrite(group: group)
        left.mayBeSealed = mayBeSealed
        left.times = used.map { times[$0] }
        left.cellStarts = [0]
        let withHistograms = Set(keptHistograms.map { histograms[$0].series })
        var placeOf: [Int: Int] = [:]
        for (number, column) in columns.enumerated() {
            let cells = cells(of: number).filter { !gone.contains($0) }
            guard !cells.isEmpty || withHistograms.contains(number) else { continue }
            placeOf[number] = left.columns.count
            left.columns.append(column)
            left.rows += cells.map { UInt32(rowOf[row(of: $0)] ?? 0) }
            left.bits += cells.map { bits[$0] }
            if !starts.isEmpty { left.starts += cells.map { starts[$0] } }
            left.cellStarts.append(left.bits.count)
        }
        left.histograms = keptHistograms.map { index in
            var cell = histograms[index]
            (cell.series, cell.row) = (placeOf[cell.series] ?? 0, rowOf[cell.row] ?? 0)
            return cell
        }
        return left
    }
}

extension NativeHistogram {
    /// Equality of the bits, so that a NaN sum equals itself.
    func isIdentical(to other: NativeHistogram) -> Bool {
        HistogramColumn.encode([self]) == HistogramColumn.encode([other])
    }
}
