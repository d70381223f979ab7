internal import Synchronization
internal import Telemetry

/// What is the same for all series that one request reads.
final class SeriesReading: Sendable {
    let range: TimeRange
    /// What headers are to answer; nil for nothing.
    let need: AggregateNeed?
    /// Whether only the times of samples matter, and which of them are stale markers.
    let isOnlyPresence: Bool
    let context: QueryContext
    /// By the place of the first piece in memory.
    private let joined = Mutex<[UInt: JoinedTimes]>([:])
    private let tableTimes = Mutex<[TableRows: TableTimes]>([:])
    /// What windows hold on to for the series that come after.
    private let heldBytes = Atomic<Int>(0)

    /// Windows of one request hold no more than this, about; what does not fit is looked up again.
    private static let heldBytesMaximum = 16 << 20

    /// A reading of a request's range.
    init(_ request: SeriesRequest, in context: QueryContext) {
        range = request.range
        isOnlyPresence = request.hints.isOnlyPresence
        self.context = context
        // With one evaluation the request's range is the window, so a chunk within the one lies within the other.
        let hints = request.hints
        let isWholeWindow = hints.stepMilliseconds == 0 && hints.windowMilliseconds > 0
        need = isWholeWindow ? AggregateNeed(function: hints.function) : nil
    }

    /// The times of columns behind each other. Series that are scraped together have the same ones, and get the same
    /// array.
    func times(of columns: [FoundColumn]) -> [Int64] {
        guard columns.count != 1 else { return columns[0].times }
        guard let place = columns.first?.times.place else { return [] }
        let known = joined.withLock { $0[place] }
        if let known, known.areTimes(of: columns) { return known.times }
        var times: [Int64] = []
        times.reserveCapacity(columns.reduce(0) { $0 + $1.count })
        for column in columns { times.append(contentsOf: column.times) }
        let new = JoinedTimes(pieces: columns.map(\.times), times: times)
        if mayHold(times.count * 8) { joined.withLock { $0[place] = new } }
        return times
    }

    /// The times of rows of a table that lie in the range, and which of the rows they are. Series of one target share
    /// them, as those of a strip do. `table` is locked by the caller, who gives its rows.
    func times(of rows: HeadTable.Rows, _ wanted: Range<Int>, in table: HeadTable) -> TableTimes {
        let key = TableRows(table: ObjectIdentifier(table), rows: wanted)
        if let known = tableTimes.withLock({ $0[key] }) { return known }
        let all = Array(rows.times[wanted])
        let start = all.firstIndexRising(from: 0) { $0 >= range.startMilliseconds }
        let end = all.firstIndexRising(from: start) { $0 > range.endMilliseconds }
        let times = TableTimes(table: table, times: Array(all[start..<end]), samples: start..<end)
        if mayHold(times.times.count * 8) { tableTimes.withLock { $0[key] = times } }
        return times
    }

    /// Whether so much more may be held.
    func mayHold(_ bytes: Int) -> Bool {
        guard heldBytes.load(ordering: .relaxed) + bytes <= Self.heldBytesMaximum else { return false }
        heldBytes.add(bytes, ordering: .relaxed)
        return true
    }
}

/// Some rows of a table.
private struct TableRows: Hashable {
    let table: ObjectIdentifier
    let rows: Range<Int>
}

/// Times of rows of a table, and which samples of a column that has all of these rows they belong to.
struct TableTimes: Sendable {
    /// Held, so that no other table takes its name.
    fileprivate let table: HeadTable
    let times: [Int64]
    let samples: Range<Int>
}

/// Times of several strips in one array.
private struct JoinedTimes: Sendable {
    /// They are held, so that their places in memory stay theirs.
    let pieces: [[Int64]]
    let times: [Int64]

    func areTimes(of columns: [FoundColumn]) -> Bool {
        guard pieces.count == columns.count else { return false }
        for (piece, column) in zip(pieces, columns) where piece.place != column.times.place { return false }
        return true
    }
}

extension [Int64] {
    /// Where its elements are in memory: the same for copies that nobody has changed.
    fileprivate var place: UInt { withUnsafeBytes { UInt(bitPattern: $0.baseAddress) } }
}

/// One strip as one request reads it. Its series share their times, cut to the request's range once for all of them.
final class StripWindow: Sendable {
    /// The samples of all columns with one set of rows: their times, and where they are among the column's values.
    struct Rows: Sendable {
        let times: [Int64]
        let values: Range<Int>
        /// What stands for values where nobody looks at them; empty where they are read.
        let ones: [Double]
    }

    private struct State {
        var strip: Strip?
        /// Of columns that have all rows, as most have.
        var whole: Rows?
        var shapes: [(presence: RowRuns?, rows: Rows)] = []
    }

    let block: Block
    let location: StripLocation
    let reading: SeriesReading
    private let state = Mutex(State())
    /// Hosts whose metrics came and went have as many sets of rows as that happened.
    private static let shapesMaximum = 8

    /// A strip for a reading.
    init(_ location: StripLocation, of block: Block, _ reading: SeriesReading) {
        self.location = location
        self.block = block
        self.reading = reading
    }

    /// The strip's header; held while there is room.
    func strip() throws -> Strip { try state.withLock { $0.strip } ?? load() }

    private func load() throws -> Strip {
        let strip = try block.reader.strip(location)
        if reading.mayHold(strip.memoryBytes) { state.withLock { $0.strip = strip } }
        return strip
    }

    /// Looks for the samples of a series.
    func find(_ ordinal: UInt32) throws -> FoundColumn.Finding {
        let (known, whole) = state.withLock { ($0.strip, $0.whole) }
        let strip = try known ?? load()
        let places = strip.entries(of: ordinal)
        guard let index = places.first else { return .nothing }
        guard places.count == 1, strip.isPlain(index) else { return .mixed }
        let isWhole = strip.entries[index].shape.presence == nil
        let rows = (isWhole ? whole : nil) ?? rows(strip.entries[index].shape.presence, of: strip)
        if rows.values.isEmpty { return .nothing }
        return .column(FoundColumn(rows, self, strip, index))
    }

    /// Writes values of a column where there is room for as many as there are in the range.
    fileprivate func read(
        _ range: Range<Int>, ofEntry index: Int, of strip: Strip, into values: UnsafeMutablePointer<Double>
    ) throws {
        if reading.isOnlyPresence { return values.update(repeating: 1, count: range.count) }
        reading.context.countRead(bytes: strip.entries[index].bodyByteCount)
        var column: ResidentColumn?
        switch strip.entries[index].values {
        case .constant(let bits): return values.update(repeating: Double(bitPattern: bits), count: range.count)
        case .duplicate(let other): column = try block.reader.resident(other, in: strip, at: location)
        case .floats: column = try block.reader.resident(index, in: strip, at: location)
        case .histograms: break
        }
        // A bit pattern and its double are the same bytes.
        values.withMemoryRebound(to: UInt64.self, capacity: range.count) { column?.read(range, into: $0) }
    }

    private func rows(_ presence: RowRuns?, of strip: Strip) -> Rows {
        let known = state.withLock { state in state.shapes.first { $0.presence == presence }?.rows }
        if let known { return known }
        let rows = makeRows(presence, of: strip)
        if reading.mayHold(rows.times.count * 8) {
            state.withLock { state in
                if presence == nil {
                    state.whole = rows
                } else if state.shapes.count < Self.shapesMaximum {
                    state.shapes.append((presence, rows))
                }
            }
        }
        return rows
    }

    private func makeRows(_ presence: RowRuns?, of strip: Strip) -> Rows {
        var times = strip.times
        if let presence {
            times = []
            times.reserveCapacity(presence.count)
            for run in presence.runs { times.append(contentsOf: strip.times[run]) }
        }
        let start = times.firstIndexRising(from: 0) { $0 >= reading.range.startMilliseconds }
        let end = times.firstIndexRising(from: start) { $0 > reading.range.endMilliseconds }
        // Whole strips share the times of the header.
        if end - start < times.count { times = Array(times[start..<end]) }
        let ones = reading.isOnlyPresence ? [Double](repeating: 1, count: end - start) : []
        return Rows(times: times, values: start..<end, ones: ones)
    }
}

/// The samples of one series in one place, found and not read yet.
struct FoundColumn {
    private enum Place {
        case strip(StripWindow, Strip, entry: Int, values: Range<Int>)
        case table(HeadTable, column: Int, samples: Range<Int>)
    }

    /// What is found of a series.
    enum Finding {
        case column(FoundColumn)
        case nothing
        /// There is more to it than one column of numbers: it must be opened.
        case mixed
    }

    let times: [Int64]
    private let ones: [Double]
    private let place: Place

    var count: Int { times.count }

    /// Values of an entry of a strip.
    fileprivate init(_ rows: StripWindow.Rows, _ window: StripWindow, _ strip: Strip, _ entry: Int) {
        times = rows.times
        ones = rows.ones
        place = .strip(window, strip, entry: entry, values: rows.values)
    }

    /// Samples of a column of a table.
    init(_ times: TableTimes, _ table: HeadTable, column: Int) {
        self.times = times.times
        ones = []
        place = .table(table, column: column, samples: times.samples)
    }

    /// Fills an empty buffer.
    func fill(_ buffer: inout SampleBuffer) throws {
        if ones.isEmpty {
            try buffer.withValues(count: count) { try read(into: $0) }
        } else {
            buffer.values = ones
        }
        buffer.timesMilliseconds = times
    }

    /// Writes the values where there is room for as many as there are times.
    func read(into values: UnsafeMutablePointer<Double>) throws {
        switch place {
        case .strip(let window, let strip, let entry, let range):
            try window.read(range, ofEntry: entry, of: strip, into: values)
        case .table(let table, let column, let samples):
            table.rows.withLock { rows in
                let column = rows.columns[column]
                guard samples.lowerBound > 0 else {
                    return values.withMemoryRebound(to: UInt64.self, capacity: samples.count) {
                        column.read(into: UnsafeMutableBufferPointer(start: $0, count: samples.count), rows.extras)
                    }
                }
                let bits = column.bits(first: samples.upperBound, rows.extras)
                for (place, index) in samples.enumerated() { values[place] = Double(bitPattern: bits[index]) }
            }
        }
    }
}
