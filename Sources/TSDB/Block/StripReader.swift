internal import Telemetry

/// Where the integers of columns that others refer to are kept, so that the buckets of one histogram are decoded once
/// for all the series of a query.
struct ReferenceCache {
    let cache: PageCache
    /// Of the strip.
    let key: PageCache.Key

    /// Those of a column.
    func find(_ column: Int) -> [Int64]? {
        guard case .integers(let integers)? = cache.find(key(of: column)) else { return nil }
        return integers
    }

    /// Keeps those of a column.
    func keep(_ integers: [Int64], of column: Int) { cache.keep(.integers(integers), as: key(of: column)) }

    private func key(of column: Int) -> PageCache.Key {
        PageCache.Key(reader: key.reader, offset: key.offset, column: column)
    }
}

/// Reads columns of one strip. Columns that others refer to are kept while it lives, and in a cache where it has one.
struct StripReader {
    let strip: Strip
    /// The body of an entry, checked.
    private let body: (StripEntry) throws -> PaddedBytes
    private let references: ReferenceCache?
    private var integers: [Int: [Int64]] = [:]
    /// Longer chains than any encoder writes are damage.
    private static let depthMaximum = 16

    /// A reader that gets bodies from `body`.
    init(_ strip: Strip, references: ReferenceCache? = nil, body: @escaping (StripEntry) throws -> PaddedBytes) {
        self.strip = strip
        self.references = references
        self.body = body
    }

    /// The bit patterns of column `index` without stale markers, and its start times, empty where it has none.
    mutating func floats(_ index: Int) throws -> (bits: [UInt64], starts: [Int64]) {
        let entry = strip.entries[index]
        switch entry.values {
        case .constant(let bits):
            let starts = try entry.hasStarts ? parts(of: entry).starts : []
            return ([UInt64](repeating: bits, count: entry.valueCount), starts)
        case .duplicate(let other):
            let starts = try entry.hasStarts ? parts(of: entry).starts : []
            return (try floats(other).bits, starts)
        case .histograms: throw ByteError(offset: 0, reason: "floats wanted of a column of histograms")
        case .floats(let column):
            let parts = try parts(of: entry)
            let bits = try withReference(index, column) { reference in
                try parts.values.parse { raw throws(any Error) in
                    try column.bits(count: entry.valueCount, from: raw) { reference }
                }
            }
            return (bits, parts.starts)
        }
    }

    /// The histograms of column `index` and their start times, empty where it has none.
    func histograms(_ index: Int) throws -> (histograms: [NativeHistogram], starts: [Int64]) {
        let entry = strip.entries[index]
        let parts = try parts(of: entry)
        let histograms = try parts.values.parse { raw throws(any Error) in
            try HistogramColumn.decode(count: entry.valueCount, from: raw)
        }
        return (histograms, parts.starts)
    }

    /// The values' bytes and the start times of a column.
    private func parts(of entry: StripEntry) throws -> (values: PaddedBytes, starts: [Int64]) {
        let bytes = try body(entry)
        guard entry.hasStarts else { return (bytes, []) }
        return try bytes.parse { raw throws(any Error) in
            var reader = ByteReader(raw)
            let values = PaddedBytes(try reader.prefixed())
            let starts = try IntegerColumn.decode(count: entry.rowCount, from: &reader)
            guard reader.isAtEnd else { throw ByteError(offset: reader.offset, reason: "bytes behind start times") }
            return (values, starts)
        }
    }

    private mutating func withReference<Value>(
        _ index: Int, _ column: FloatColumn, _ body: ([Int64]) throws -> Value
    ) throws -> Value {
        guard column.transform == .reference else { return try body([]) }
        return try body(try integers(of: index - column.referenceDistance, depth: 0))
    }

    /// The integers of a column that another refers to.
    private mutating func integers(of index: Int, depth: Int) throws -> [Int64] {
        if let known = integers[index] ?? references?.find(index) { return known }
        guard depth < Self.depthMaximum, case .floats(let column) = strip.entries[index].values else {
            throw ByteError(offset: 0, reason: "column \(index) is referred to and has no integers")
        }
        let reference =
            column.transform == .reference ? try integers(of: index - column.referenceDistance, depth: depth + 1) : []
        let entry = strip.entries[index]
        let parts = try parts(of: entry)
        let found = try parts.values.parse { raw throws(any Error) in
            try column.integers(count: entry.valueCount, from: raw) { reference }.values
        }
        integers[index] = found
        references?.keep(found, of: index)
        return found
    }
}
