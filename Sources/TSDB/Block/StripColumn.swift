internal import Telemetry

/// The samples of one series in one strip, on their way to disk.
struct StripColumn {
    /// The number of the series in its block.
    var ordinal: UInt32
    /// Rising rows of the strip, one per value.
    var rows: [Int]
    /// Bit patterns of the values, stale markers among them; empty for histograms.
    var bits: [UInt64] = []
    /// Start times, 0 where not known; empty when none is.
    var starts: [Int64] = []
    var histograms: [NativeHistogram] = []

    /// A column without samples.
    init(ordinal: UInt32) {
        self.ordinal = ordinal
        rows = []
    }
}

/// What the header of a strip says about one column.
struct StripEntry: Sendable {
    var ordinal: UInt32
    var isHistogram: Bool
    var hasStarts: Bool
    /// The rows with a sample; nil for all.
    var presence: RowRuns?
    /// The rows with a stale marker; nil for none.
    var stale: RowRuns?
    /// How many rows have a sample, stale markers among them.
    var rowCount: Int
    /// Nil where a value is not finite, for histograms, and where all are stale markers.
    var summary: ChunkSummary?
    /// Where the column's bytes begin in the strip's stream, and how many they are.
    var bodyOffset: Int
    var bodyByteCount: Int

    /// Values in the body.
    var valueCount: Int { rowCount - (stale?.count ?? 0) }

    static let histogramFlag: UInt8 = 0b1
    static let startsFlag: UInt8 = 0b10
    static let presenceFlag: UInt8 = 0b100
    static let staleFlag: UInt8 = 0b1000

    /// Appends the entry of `column` and returns the bytes of its values.
    static func encode(
        _ column: StripColumn, after previousOrdinal: UInt32, rowCount: Int, into writer: inout ByteWriter
    ) -> [UInt8] {
        let isHistogram = !column.histograms.isEmpty
        var stale = RowRuns()
        var live = column.bits
        if column.bits.contains(Sample.staleBits) {
            live.removeAll { $0 == Sample.staleBits }
            for (index, bits) in column.bits.enumerated() where bits == Sample.staleBits {
                stale.append(column.rows[index])
            }
        }
        var flags: UInt8 = 0
        if isHistogram { flags |= histogramFlag }
        if !column.starts.isEmpty { flags |= startsFlag }
        if column.rows.count < rowCount { flags |= presenceFlag }
        if stale.count > 0 { flags |= staleFlag }
        writer.putVarint(UInt64(column.ordinal - previousOrdinal))
        writer.put(flags)
        if flags & presenceFlag != 0 { RowRuns(column.rows).encode(rowCount: rowCount, into: &writer) }
        if flags & staleFlag != 0 { stale.encode(rowCount: rowCount, into: &writer) }
        var body = ByteWriter()
        if isHistogram {
            body.put(HistogramColumn.encode(column.histograms[...]))
        } else if !live.isEmpty {
            let encoded = FloatColumn.encode(live[...])
            ChunkSummary.encode(bits: live[...], decimals: encoded.decimals, into: &writer)
            body.put(encoded.bytes)
        }
        if !column.starts.isEmpty {
            let values = body.bytes
            body.removeAll()
            body.putPrefixed(values)
            IntegerColumn.encode(column.starts, into: &body)
        }
        writer.putVarint(UInt64(body.count))
        return body.bytes
    }

    /// Reads an entry of a strip with `stripRowCount` rows whose body begins at `bodyOffset`.
    init(
        after previousOrdinal: UInt32, stripRowCount: Int, bodyOffset: Int, from reader: inout ByteReader
    ) throws(ByteError) {
        let step = try reader.count(upTo: Int(UInt32.max - previousOrdinal), "series step")
        ordinal = previousOrdinal + UInt32(step)
        let flags = try reader.byte()
        guard flags & 0xf0 == 0 else {
            throw ByteError(offset: reader.offset - 1, reason: "column of an unknown kind \(flags)")
        }
        isHistogram = flags & Self.histogramFlag != 0
        hasStarts = flags & Self.startsFlag != 0
        presence = flags & Self.presenceFlag != 0 ? try RowRuns(rowCount: stripRowCount, from: &reader) : nil
        stale = flags & Self.staleFlag != 0 ? try RowRuns(rowCount: stripRowCount, from: &reader) : nil
        rowCount = presence?.count ?? stripRowCount
        let values = rowCount - (stale?.count ?? 0)
        guard rowCount > 0, values >= 0, !isHistogram || stale == nil else {
            throw ByteError(offset: reader.offset, reason: "column with more stale markers than samples")
        }
        summary = !isHistogram && values > 0 ? try ChunkSummary.decode(count: values, from: &reader) : nil
        self.bodyOffset = bodyOffset
        bodyByteCount = try reader.count(upTo: BlockFormat.sectionByteCountMaximum, "column length")
    }
}

/// The header of a strip as it is used: times, and where each column is.
final class Strip: Sendable {
    let times: [Int64]
    /// Ordered by series; a series with floats and histograms has two.
    let entries: [StripEntry]

    /// Parses the payload of a header page.
    init(parsing payload: UnsafeRawBufferPointer, location: StripLocation) throws(ByteError) {
        var reader = ByteReader(payload)
        let rowCount = try reader.count(upTo: BlockFormat.stripRowsMaximum, "rows")
        guard rowCount > 0 else { throw ByteError(offset: 0, reason: "strip without rows") }
        let times = try IntegerColumn.decode(count: rowCount, from: &reader)
        for index in times.indices.dropFirst() where times[index] <= times[index - 1] {
            throw ByteError(offset: 0, reason: "times of the strip do not rise at row \(index)")
        }
        guard location.times == TimeRange(startMilliseconds: times[0], endMilliseconds: times[rowCount - 1]) else {
            throw ByteError(offset: 0, reason: "times of the strip are not those of the index")
        }
        let columnCount = try reader.count(upTo: 2 * BlockFormat.stripColumnsMaximum, "columns")
        var entries: [StripEntry] = []
        entries.reserveCapacity(columnCount)
        var previous = location.ordinals.lowerBound
        var bodyOffset = 0
        for _ in 0..<columnCount {
            let entry = try StripEntry(
                after: previous, stripRowCount: rowCount, bodyOffset: bodyOffset, from: &reader)
            bodyOffset += entry.bodyByteCount
            previous = entry.ordinal
            guard bodyOffset <= location.streamByteCount, previous <= location.ordinals.upperBound else {
                throw ByteError(offset: reader.offset, reason: "column \(entries.count) lies outside its strip")
            }
            entries.append(entry)
        }
        guard reader.isAtEnd, bodyOffset == location.streamByteCount else {
            throw ByteError(offset: reader.offset, reason: "strip header does not end where it should")
        }
        self.times = times
        self.entries = entries
    }

    /// The columns of a series: none, its floats, its histograms, or both.
    func entries(of ordinal: UInt32) -> ArraySlice<StripEntry> {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].ordinal < ordinal { low = middle + 1 } else { high = middle }
        }
        var end = low
        while end < entries.count, entries[end].ordinal == ordinal { end += 1 }
        return entries[low..<end]
    }

    /// An estimate of the memory held.
    var memoryBytes: Int { times.count * 8 + entries.count * MemoryLayout<StripEntry>.stride }
}
