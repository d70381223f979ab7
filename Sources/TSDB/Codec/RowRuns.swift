internal import Telemetry

/// A set of row numbers of one strip, kept as runs: which rows a series has a sample in, or a stale marker.
struct RowRuns: Equatable {
    /// Rising, not touching each other, none empty.
    private(set) var runs: [Range<Int>] = []
    /// How many rows are in the set.
    private(set) var count = 0

    /// The empty set.
    init() {}

    /// The set of `rows`, which rise.
    init(_ rows: some Sequence<Int>) {
        for row in rows { append(row) }
    }

    /// Adds a row above all others.
    mutating func append(_ row: Int) {
        if let last = runs.last, last.upperBound == row {
            runs[runs.count - 1] = last.lowerBound..<(row + 1)
        } else {
            runs.append(row..<(row + 1))
        }
        count += 1
    }

    /// All rows, rising.
    var rows: [Int] {
        var all: [Int] = []
        all.reserveCapacity(count)
        for run in runs { all.append(contentsOf: run) }
        return all
    }

    /// Appends the smaller of a list of runs and a bitmap over `rowCount` rows.
    func encode(rowCount: Int, into writer: inout ByteWriter) {
        var list = ByteWriter()
        list.putVarint(UInt64(runs.count))
        var next = 0
        for run in runs {
            list.putVarint(UInt64(run.lowerBound - next))
            list.putVarint(UInt64(run.count - 1))
            next = run.upperBound
        }
        let bitmapCount = (rowCount + 7) / 8
        // A leading zero announces a bitmap: an empty set is never written.
        guard list.count > bitmapCount + 1 else { return writer.put(list.bytes) }
        var bitmap = [UInt8](repeating: 0, count: bitmapCount)
        for run in runs { for row in run { bitmap[row >> 3] |= 1 << UInt8(row & 7) } }
        writer.put(0)
        writer.put(bitmap)
    }

    /// Reads a set of rows below `rowCount` that `encode` wrote.
    init(rowCount: Int, from reader: inout ByteReader) throws(ByteError) {
        let runCount = try reader.count(upTo: rowCount, "runs of rows")
        if runCount == 0 {
            let bitmap = try reader.slice((rowCount + 7) / 8)
            for row in 0..<rowCount where bitmap[row >> 3] & (1 << UInt8(row & 7)) != 0 { append(row) }
            return
        }
        var next = 0
        for _ in 0..<runCount {
            let start = next + (try reader.count(upTo: rowCount, "gap of rows"))
            let end = start + (try reader.count(upTo: rowCount, "run of rows")) + 1
            guard end <= rowCount else {
                throw ByteError(offset: reader.offset, reason: "rows end at \(end), the strip has \(rowCount)")
            }
            if let last = runs.last, last.upperBound == start {
                runs[runs.count - 1] = last.lowerBound..<end
            } else {
                runs.append(start..<end)
            }
            count += end - start
            next = end
        }
    }
}
