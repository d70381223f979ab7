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

    /// Whether so much more may be held.
    func mayHold(_ bytes: Int) -> Bool {
        guard heldBytes.load(ordering: .relaxed) + bytes <= Self.heldBytesMaximum else { return false }
        heldBytes.add(bytes, ordering: .relaxed)
        return true
    }
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

    /// What became of a look at a series.
    enum Outcome {
        case filled
        case nothing
        /// There is more to it than one column of numbers: it must be opened.
        case mixed
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

    /// Fills an empty buffer with the samples of a series.
    func read(_ ordinal: UInt32, into buffer: inout SampleBuffer) throws -> Outcome {
        let (known, whole) = state.withLock { ($0.strip, $0.whole) }
        let strip = try known ?? load()
        let places = strip.entries(of: ordinal)
        guard let index = places.first else { return .nothing }
        let entry = strip.entries[index]
        guard places.count == 1, !entry.isHistogram, !entry.hasStarts, entry.shape.stale == nil else { return .mixed }
        let isWhole = entry.shape.presence == nil
        let rows = (isWhole ? whole : nil) ?? rows(entry.shape.presence, of: strip)
        guard !rows.values.isEmpty else { return .nothing }
        if reading.isOnlyPresence {
            buffer.values = rows.ones
        } else {
            try fill(&buffer, from: entry, index, of: strip, rows.values)
        }
        buffer.timesMilliseconds = rows.times
        return .filled
    }

    private func fill(
        _ buffer: inout SampleBuffer, from entry: StripEntry, _ index: Int, of strip: Strip, _ range: Range<Int>
    ) throws {
        reading.context.countRead(bytes: entry.bodyByteCount)
        var column: ResidentColumn?
        switch entry.values {
        case .constant(let bits):
            return buffer.withValues(count: range.count) {
                $0.update(repeating: Double(bitPattern: bits), count: range.count)
            }
        case .duplicate(let other): column = try block.reader.resident(other, in: strip, at: location)
        case .floats: column = try block.reader.resident(index, in: strip, at: location)
        case .histograms: break
        }
        buffer.withValues(count: range.count) { values in
            // A bit pattern and its double are the same bytes.
            values.withMemoryRebound(to: UInt64.self, capacity: range.count) { column?.read(range, into: $0) }
        }
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
