internal import Synchronization
internal import Telemetry

/// New rows of one group: what a record of the log carries, and what the head applies once the record is synced.
struct GroupWrite: Sendable {
    /// A histogram of one series in one of the rows.
    struct HistogramCell: Sendable {
        /// An index into `series`.
        var series: Int
        var row: Int
        var start: Int64
        var histogram: NativeHistogram
    }

    let group: HeadGroup
    /// The time of each row, strictly rising.
    var times: [Int64] = []
    /// The series with samples, each once.
    var series: [HeadSeries] = []
    /// Where the cells of each series begin, and the end of the last.
    var cellStarts: [Int] = [0]
    /// The row of each cell, rising within a series.
    var rows: [UInt32] = []
    var bits: [UInt64] = []
    /// As long as `bits`, or empty.
    var starts: [Int64] = []
    var histograms: [HistogramCell] = []

    /// All labels of the series.
    var labelBytes = 0

    /// The number of samples.
    var sampleCount: Int { bits.count + histograms.count }

    /// No rows yet.
    init(group: HeadGroup) {
        self.group = group
    }

    /// More bytes than its part of a record takes.
    var encodedBytesMaximum: Int {
        let labels = 64 + group.target.encoded.count + labelBytes + series.count * 32
        let samples = times.count * 10 + bits.count * (starts.isEmpty ? 15 : 26)
        return labels + samples + histograms.reduce(0) { $0 + 64 + 2 * HeadColumn.memoryBytes(of: $1.histogram) }
    }
}

extension GroupWrite {
    /// About the bytes of its part of a record, declarations that are due included.
    func bytesEstimate(epoch: UInt64) -> Int {
        let limit = encodedBytesMaximum
        // Close to what a frame may hold, the estimate must not be too low.
        guard limit < 8 << 20 else { return limit }
        // A group that was declared has few series that were not.
        let isDeclared = group.declaredEpoch.load(ordering: .relaxed) == epoch
        let labels = 32 + (isDeclared ? series.count * 2 : labelBytes / 2)
        let histograms = histograms.reduce(0) { $0 + HeadColumn.memoryBytes(of: $1.histogram) }
        return labels + times.count * 4 + bits.count * 6 + starts.count * 4 + histograms
    }

    /// The same rows in pieces of about `maximumBytes`, cut between series.
    func split(maximumBytes: Int) -> [GroupWrite] {
        guard series.count > 1, encodedBytesMaximum > maximumBytes else { return [self] }
        let middle = series.count / 2
        return part(0..<middle).split(maximumBytes: maximumBytes)
            + part(middle..<series.count).split(maximumBytes: maximumBytes)
    }

    private func part(_ numbers: Range<Int>) -> GroupWrite {
        var part = GroupWrite(group: group)
        part.times = times
        part.series = Array(series[numbers])
        part.labelBytes = part.series.reduce(0) { $0 + $1.labels.encoded.count }
        let cells = cellStarts[numbers.lowerBound]..<cellStarts[numbers.upperBound]
        part.cellStarts = cellStarts[numbers.lowerBound...numbers.upperBound].map { $0 - cells.lowerBound }
        part.rows = Array(rows[cells])
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

/// Collects the samples of one append that go to one group, in any order, and sorts them into rows.
struct GroupWriteBuilder {
    private struct Cell {
        var series: Int
        var time: Int64
        var bits: UInt64
        var start: Int64
    }
    private struct PendingHistogram {
        var series: Int
        var time: Int64
        var start: Int64
        var histogram: NativeHistogram
    }

    private let group: HeadGroup
    /// What it marks its series with, above the bits of a place.
    private let mark: UInt64
    private static let placeBits: UInt64 = 24
    private var series: [HeadSeries] = []
    private var labelBytes = 0
    private var cells: [Cell] = []
    private var histograms: [PendingHistogram] = []
    private var isSorted = true
    /// Whether every sample is of a series of its own and of one time, as a scrape's are.
    private var isOneScrape = true
    private var hasStarts = false

    /// No samples yet. `number` is of the index, under whose lock samples are added.
    init(group: HeadGroup, number: UInt64) {
        self.group = group
        mark = number << Self.placeBits
    }

    /// Adds a float.
    mutating func add(_ one: HeadSeries, milliseconds: Int64, bits: UInt64, start: Int64) {
        let cell = Cell(series: number(of: one), time: milliseconds, bits: bits, start: start)
        if let last = cells.last {
            if (cell.series, cell.time) <= (last.series, last.time) { isSorted = false }
            if cell.series != last.series + 1 || cell.time != last.time { isOneScrape = false }
        } else if cell.series != 0 {
            isOneScrape = false
        }
        hasStarts = hasStarts || start != 0
        cells.append(cell)
    }

    /// Adds a histogram.
    mutating func add(_ one: HeadSeries, milliseconds: Int64, start: Int64, histogram: NativeHistogram) {
        isOneScrape = false
        histograms.append(
            PendingHistogram(series: number(of: one), time: milliseconds, start: start, histogram: histogram))
    }

    private mutating func number(of one: HeadSeries) -> Int {
        let seen = one.mark.load(ordering: .relaxed)
        if seen >> Self.placeBits == mark >> Self.placeBits {
            let place = Int(seen & ((1 << Self.placeBits) - 1))
            if place < series.count, series[place] === one { return place }
            // Only a group of more series than a mark can tell apart comes here.
            if let place = series.firstIndex(where: { $0 === one }) { return place }
        }
        let place = series.count
        one.mark.store(mark | UInt64(place) & ((1 << Self.placeBits) - 1), ordering: .relaxed)
        series.append(one)
        labelBytes += one.labels.encoded.count
        return place
    }

    /// The rows. Of several samples of one series at one time the first stays; `refuse` hears of the different ones.
    func build(refuse: (HeadSeries, Int64) -> Void) -> GroupWrite {
        var write = GroupWrite(group: group)
        write.series = series
        write.labelBytes = labelBytes
        if isOneScrape, let time = cells.first?.time {
            write.times = [time]
            write.cellStarts = Array(0...cells.count)
            write.rows = [UInt32](repeating: 0, count: cells.count)
            write.bits = cells.map(\.bits)
            if hasStarts { write.starts = cells.map(\.start) }
            return write
        }
        let times = Set(cells.map(\.time)).union(histograms.map(\.time))
        write.times = times.sorted()
        var rowOf: [Int64: UInt32] = [:]
        for (row, time) in write.times.enumerated() { rowOf[time] = UInt32(row) }
        let order =
            isSorted
            ? Array(cells.indices)
            : cells.indices.sorted {
                (cells[$0].series, cells[$0].time, $0) < (cells[$1].series, cells[$1].time, $1)
            }
        var previous: Cell?
        for index in order {
            let cell = cells[index]
            if let last = previous, last.series == cell.series, last.time == cell.time {
                if last.bits != cell.bits { refuse(series[cell.series], cell.time) }
                continue
            }
            previous = cell
            while write.cellStarts.count <= cell.series { write.cellStarts.append(write.bits.count) }
            write.rows.append(rowOf[cell.time] ?? 0)
            write.bits.append(cell.bits)
            if hasStarts { write.starts.append(cell.start) }
        }
        while write.cellStarts.count <= series.count { write.cellStarts.append(write.bits.count) }
        addHistograms(to: &write, rowOf: rowOf, refuse: refuse)
        return write
    }

    private func addHistograms(
        to write: inout GroupWrite, rowOf: [Int64: UInt32], refuse: (HeadSeries, Int64) -> Void
    ) {
        let order = histograms.indices.sorted {
            (histograms[$0].series, histograms[$0].time, $0) < (histograms[$1].series, histograms[$1].time, $1)
        }
        var previous: PendingHistogram?
        for index in order {
            let cell = histograms[index]
            if let last = previous, last.series == cell.series, last.time == cell.time {
                if !last.histogram.isIdentical(to: cell.histogram) { refuse(series[cell.series], cell.time) }
                continue
            }
            previous = cell
            write.histograms.append(
                GroupWrite.HistogramCell(
                    series: cell.series, row: Int(rowOf[cell.time] ?? 0), start: cell.start,
                    histogram: cell.histogram))
        }
    }
}

extension NativeHistogram {
    /// Equality of the bits, so that a NaN sum equals itself.
    func isIdentical(to other: NativeHistogram) -> Bool {
        HistogramColumn.encode([self]) == HistogramColumn.encode([other])
    }
}
