internal import Telemetry

/// A set of row numbers of one strip, kept as runs: which rows a series has a sample in, or a stale marker.
struct RowRuns: Hashable, Sendable {
    /// What announces a bitmap, and the set written before; an empty set is never written.
    private static let bitmapMark = 0
    private static let sameMark = 1

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

    /// Appends the smallest of nothing but a mark where the set is `previous`, a list of runs, and a bitmap over
    /// `rowCount` rows.
    func encode(rowCount: Int, after previous: RowRuns?, into writer: inout ByteWriter) {
        if self == previous { return writer.put(UInt8(Self.sameMark)) }
        var list = ByteWriter()
        list.putVarint(UInt64(runs.count) + 1)
        var next = 0
        for run in runs {
            list.putVarint(UInt64(run.lowerBound - next))
            list.putVarint(UInt64(run.count - 1))
            next = run.upperBound
        }
        let bitmapCount = (rowCount + 7) / 8
        guard list.count > bitmapCount + 1 else { return writer.put(list.bytes) }
        var bitmap = [UInt8](repeating: 0, count: bitmapCount)
        for run in runs { for row in run { bitmap[row >> 3] |= 1 << UInt8(row & 7) } }
        writer.put(UInt8(Self.bitmapMark))
        writer.put(bitmap)
    }

    /// Reads a set of rows below `rowCount` that `encode` wrote.
    init(rowCount: Int, after previous: RowRuns?, from reader: inout ByteReader) throws(ByteError) {
        let head = try reader.count(upTo: rowCount + 1, "runs of rows")
        if head == Self.sameMark {
            guard let previous else { throw ByteError(offset: reader.offset, reason: "no set of rows before this one") }
            self = previous
            return
        }
        let runCount = head - 1
        if head == Self.bitmapMark {
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
