import Disk
import Telemetry
import TestSupport

@testable import TSDB

/// One column as it stands in a block: its entry, then its body.
enum ColumnBytes {
    /// Entry and body of a column that has all rows of its strip.
    static func encode(_ bits: [UInt64], isSealed: Bool = true) -> [UInt8] {
        var encoder = StripEncoder(rowCount: bits.count, firstOrdinal: 0, isSealed: isSealed)
        var column = StripColumn(ordinal: 0)
        column.rows = Array(bits.indices)
        column.bits = bits
        let (entry, body) = encoder.encode(column)
        return entry + body
    }

    /// The entry of such a column.
    static func entry(count: Int, from reader: inout ByteReader) throws(ByteError) -> StripEntry {
        let location = StripLocation(
            offset: 0, headerByteCount: 0, streamByteCount: 0, ordinals: 0...0,
            times: TimeRange(startMilliseconds: 0, endMilliseconds: 0), sampleCount: count)
        return try StripEntry(behind: [], of: location, stripRowCount: count, bodyOffset: 0, from: &reader)
    }

    /// What `encode` wrote of `count` values.
    static func decode(_ bytes: [UInt8], count: Int) throws -> [UInt64] {
        let padded = PaddedBytes(bytes)
        var body: [UInt8] = []
        let entry = try padded.parse { (raw: UnsafeRawBufferPointer) throws(ByteError) -> StripEntry in
            var reader = ByteReader(raw)
            let entry = try Self.entry(count: count, from: &reader)
            body = Array(try reader.slice(entry.bodyByteCount))
            return entry
        }
        guard !entry.isHistogram else { return [] }
        let strip = Strip(times: (0..<Int64(count)).map { $0 }, entries: [entry])
        let bytes = PaddedBytes(body)
        var reader = StripReader(strip) { _ in (bytes, 0) }
        var run = SampleRun()
        run.bits = try reader.floats(0).bits
        if let stale = entry.shape.stale { try run.insertStale(stale, presence: entry.shape.presence) }
        return run.bits
    }

    /// Columns of one length through a whole block.
    static func throughStrip(
        _ columns: [[UInt64]], isSealed: Bool, isKeeping: Bool = false
    ) throws -> [[UInt64]] {
        let storage = SimulatedStorage(seed: 1)
        let rowCount = columns.first?.count ?? 0
        var writer = BlockWriter(try storage.open("block", .create), salt: 1, sealedRowsMinimum: isSealed ? 0 : .max)
        let labels = columns.indices.map { Labels(["__name__": "m\(1000 + $0)"]) }
        let layout = SeriesLayout(labels, target: .empty)
        _ = writer.beginGroup(.empty, sealedThrough: LogPosition(1), layout: layout)
        let strip = columns.enumerated().map { number, bits in
            var column = StripColumn(ordinal: UInt32(number))
            (column.rows, column.bits) = (Array(0..<rowCount), bits)
            return column
        }
        try writer.append(rowTimes: (0..<Int64(rowCount)).map { $0 }, columns: strip)
        _ = try writer.finish(
            sequence: BlockSequence(first: 1, last: 1), history: BlockHistory(flush: BlockSequence(first: 1, last: 1)))
        let reader = try BlockReader(try storage.open("block", .read), cache: PageCache(maximumBytes: 1 << 20))
        var found: [[UInt64]] = []
        for location in try reader.groups().flatMap(\.strips) {
            var columns = try reader.columns(of: location, keeping: isKeeping)
            for index in columns.strip.entries.indices {
                found.append(try reader.samples(of: index, in: &columns, at: location, range: .all).bits)
            }
        }
        return found
    }
}
