internal import Telemetry

/// Reads columns of one strip. What others refer to is kept while it lives; a reader for queries keeps every column it
/// decodes with the strip.
struct StripReader {
    let strip: Strip
    /// Gets checked bytes of the strip's stream that hold a range of it as a whole, and where they begin.
    private let source: (Range<Int>) throws -> (bytes: PaddedBytes, start: Int)
    /// What it gave last: the page that the column behind lies in too.
    private var page = (bytes: PaddedBytes([]), start: 0)
    /// Told how much memory a column takes that is kept with the strip; nil where none is.
    private let kept: ((Int) -> Void)?
    /// By entry: what others may refer to, as far as it was read.
    private var integers: [[Int64]?]
    /// Longer chains than any encoder writes are damage.
    private static let depthMaximum = 16

    /// A reader that gets the stream from `source`.
    init(
        _ strip: Strip, keeping kept: ((Int) -> Void)? = nil,
        source: @escaping (Range<Int>) throws -> (bytes: PaddedBytes, start: Int)
    ) {
        self.strip = strip
        self.kept = kept
        self.source = source
        integers = [[Int64]?](repeating: nil, count: kept == nil ? strip.entries.count : 0)
    }

    /// The bytes of a column. Entries are large: what is read of one is read in place.
    private mutating func body(_ index: Int) throws -> PaddedBytes {
        let start = strip.entries[index].bodyOffset
        let end = start + strip.entries[index].bodyByteCount
        if start < page.start || end > page.start + page.bytes.count { page = try source(start..<end) }
        return page.bytes.slice(start - page.start..<end - page.start)
    }

    /// The bit patterns of column `index` without stale markers, and its start times, empty where it has none.
    mutating func floats(_ index: Int) throws -> (bits: [UInt64], starts: [Int64]) {
        let entry = strip.entries[index]
        switch entry.values {
        case .constant(let bits):
            let starts = try entry.hasStarts ? parts(of: index).starts : []
            return ([UInt64](repeating: bits, count: entry.valueCount), starts)
        case .duplicate(let other):
            let starts = try entry.hasStarts ? parts(of: index).starts : []
            return (try floats(other).bits, starts)
        case .histograms: throw ByteError(offset: 0, reason: "floats wanted of a column of histograms")
        case .floats where kept != nil:
            let bits = try resident(index).bits
            return (bits, try entry.hasStarts ? parts(of: index).starts : [])
        case .floats:
            let bits = try [UInt64](unsafeUninitializedCapacity: entry.valueCount) { bits, initialized in
                if let start = bits.baseAddress { try read(index, into: start) }
                initialized = entry.valueCount
            }
            return (bits, try entry.hasStarts ? parts(of: index).starts : [])
        }
    }

    /// Writes the bit patterns of column `index`, without stale markers, to where there is room for them.
    mutating func read(_ index: Int, into bits: UnsafeMutablePointer<UInt64>) throws {
        let count = strip.entries[index].valueCount
        switch strip.entries[index].values {
        case .constant(let pattern): bits.update(repeating: pattern, count: count)
        case .duplicate(let other): try read(other, into: bits)
        case .histograms: throw ByteError(offset: 0, reason: "floats wanted of a column of histograms")
        case .floats(let column):
            let reference =
                column.transform == .reference ? try integers(of: index - column.referenceDistance, depth: 0) : []
            let bytes = try strip.entries[index].hasStarts ? parts(of: index).values : body(index)
            guard kept == nil, strip.isReferredTo[index], column.scaling.operation.hasIntegers, integers[index] == nil
            else {
                return try bytes.parse { raw throws(any Error) in
                    try column.read(count: count, from: raw, reference: reference, into: bits)
                }
            }
            // It is scaled once for itself and kept for those behind it.
            integers[index] = try [Int64](unsafeUninitializedCapacity: count) { kept, initialized in
                try bytes.parse { raw throws(any Error) in
                    try column.read(
                        count: count, from: raw, reference: reference, integers: kept.baseAddress, into: bits)
                }
                initialized = count
            }
        }
    }

    /// The histograms of column `index` and their start times, empty where it has none.
    mutating func histograms(_ index: Int) throws -> (histograms: [NativeHistogram], starts: [Int64]) {
        let parts = try parts(of: index)
        let histograms = try parts.values.parse { raw throws(any Error) in
            try HistogramColumn.decode(count: strip.entries[index].valueCount, from: raw)
        }
        return (histograms, parts.starts)
    }

    /// The values' bytes and the start times of a column.
    private mutating func parts(of index: Int) throws -> (values: PaddedBytes, starts: [Int64]) {
        let bytes = try body(index)
        guard strip.entries[index].hasStarts else { return (bytes, []) }
        let rowCount = strip.entries[index].rowCount
        return try bytes.parse { raw throws(any Error) in
            var reader = ByteReader(raw)
            let values = PaddedBytes(try reader.prefixed())
            let starts = try IntegerColumn.decode(count: rowCount, from: &reader)
            guard reader.isAtEnd else { throw ByteError(offset: reader.offset, reason: "bytes behind start times") }
            return (values, starts)
        }
    }

    /// The integers of a column that another refers to.
    private mutating func integers(of index: Int, depth: Int) throws -> [Int64] {
        if let known = integers[index] { return known }
        guard depth < Self.depthMaximum, case .floats(let column) = strip.entries[index].values else {
            throw ByteError(offset: 0, reason: "column \(index) is referred to and has no integers")
        }
        let reference =
            column.transform == .reference ? try integers(of: index - column.referenceDistance, depth: depth + 1) : []
        let count = strip.entries[index].valueCount
        let found = try parts(of: index).values.parse { raw throws(any Error) in
            try column.integers(count: count, from: raw) { reference }.values
        }
        integers[index] = found
        return found
    }

    /// Column `index`, which is one of floats that are no duplicate, in the form that is kept.
    mutating func resident(_ index: Int) throws -> ResidentColumn { try resident(index, depth: 0) }

    private mutating func resident(_ index: Int, depth: Int) throws -> ResidentColumn {
        if let known = strip.resident(index) { return known }
        guard depth < Self.depthMaximum, case .floats(let column) = strip.entries[index].values else {
            throw ByteError(offset: 0, reason: "column \(index) is read as floats, or referred to, and is none of them")
        }
        let reference =
            column.transform == .reference
            ? try resident(index - column.referenceDistance, depth: depth + 1).integers : []
        let count = strip.entries[index].valueCount
        let found = try parts(of: index).values.parse { raw throws(any Error) in
            guard column.scaling.operation.hasIntegers else {
                return ResidentColumn(bits: try column.bits(count: count, from: raw, reference: []))
            }
            return ResidentColumn(column, try column.integers(count: count, from: raw) { reference })
        }
        strip.keep(found, index)
        kept?(found.memoryBytes)
        return found
    }
}
