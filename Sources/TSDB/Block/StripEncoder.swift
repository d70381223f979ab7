internal import Telemetry

/// Encodes the columns of one strip: their entries for the header page, and their bodies.
struct StripEncoder {
    private let rowCount: Int
    private let isSealed: Bool
    private var floats: FloatColumnEncoder
    private var shapes: [ColumnShape: Int] = [:]
    private var lastPresence: RowRuns?
    private var lastStale: RowRuns?
    /// Columns of floats by their shape and a hash of their values.
    private var known: [DuplicateKey: (index: Int, bits: [UInt64])] = [:]
    private var previousOrdinal: UInt32?
    private let firstOrdinal: UInt32

    private struct DuplicateKey: Hashable {
        var shape: Int
        var hash: UInt64
    }

    /// The number of columns so far.
    private(set) var columnCount = 0

    /// An encoder for a strip of `rowCount` rows whose first column belongs to `firstOrdinal`. `isSealed` allows codes
    /// that are small but slow to read.
    init(rowCount: Int, firstOrdinal: UInt32, isSealed: Bool) {
        self.rowCount = rowCount
        self.isSealed = isSealed
        self.firstOrdinal = firstOrdinal
        floats = FloatColumnEncoder(isSealed: isSealed)
    }

    /// The entry of a column and the bytes of its values.
    mutating func encode(_ column: StripColumn) -> (entry: [UInt8], body: [UInt8]) {
        var live: [UInt64] = []
        let shape = ColumnShape(column, rowCount: rowCount, live: &live)
        var (kind, values, body) = encode(column, live, shape)
        var entry = ByteWriter(capacity: 24)
        var head = kind.rawValue
        let step = column.ordinal - (previousOrdinal ?? firstOrdinal)
        if step != (previousOrdinal == nil ? 0 : 1) { head |= StripEntry.stepFlag }
        if !column.starts.isEmpty { head |= StripEntry.startsFlag }
        if shape.presence != nil { head |= StripEntry.presenceFlag }
        if shape.stale != nil { head |= StripEntry.staleFlag }
        entry.put(head)
        if head & StripEntry.stepFlag != 0 { entry.putVarint(UInt64(step)) }
        if let presence = shape.presence {
            presence.encode(rowCount: rowCount, after: lastPresence, into: &entry)
            lastPresence = presence
        }
        if let stale = shape.stale {
            stale.encode(rowCount: rowCount, after: lastStale, into: &entry)
            lastStale = stale
        }
        entry.put(values.bytes)
        if !column.starts.isEmpty {
            var both = ByteWriter(capacity: body.count + 16)
            both.putPrefixed(body)
            IntegerColumn.encode(column.starts, isSealed: isSealed, into: &both)
            body = both.bytes
        }
        if !column.starts.isEmpty || kind.rawValue >= StripEntry.Kind.floats.rawValue {
            entry.putVarint(UInt64(body.count))
        }
        previousOrdinal = column.ordinal
        columnCount += 1
        return (entry.bytes, body)
    }

    /// The kind of a column, what its entry says about its values, and their bytes.
    private mutating func encode(
        _ column: StripColumn, _ live: [UInt64], _ shape: ColumnShape
    ) -> (StripEntry.Kind, ByteWriter, [UInt8]) {
        var entry = ByteWriter(capacity: 24)
        if !column.histograms.isEmpty { return (.histograms, entry, HistogramColumn.encode(column.histograms[...])) }
        let first = live.first ?? 0
        if !live.contains(where: { $0 != first }) { return (Self.encodeConstant(first, into: &entry), entry, []) }
        let shapeNumber = shapes[shape] ?? shapes.count
        shapes[shape] = shapeNumber
        let key = DuplicateKey(shape: shapeNumber, hash: Self.hash(live))
        if let found = known[key], found.bits == live {
            entry.putVarint(UInt64(columnCount - found.index))
            return (.duplicate, entry, [])
        }
        let encoded = floats.encode(live, index: columnCount, shape: shapeNumber)
        known[key] = (columnCount, live)
        encoded.header.encode(into: &entry)
        let kind: StripEntry.Kind
        switch ChunkSummary.encode(encoded, bits: live, into: &entry) {
        case .none: kind = .floats
        case .rising: kind = .risingFloats
        case .full: kind = .summedFloats
        }
        return (kind, entry, encoded.body)
    }

    private static func encodeConstant(_ bits: UInt64, into entry: inout ByteWriter) -> StripEntry.Kind {
        guard let scaling = ColumnScaling.find(for: bits), let integer = scaling.integer(bits),
            VarintSize.signed(integer) < MemoryLayout<UInt64>.size - 1
        else {
            entry.putFixed(bits)
            return .constantBits
        }
        guard scaling.operation != .integer else {
            entry.putSigned(integer)
            return .constantInteger
        }
        entry.put(scaling.operation.rawValue << 4 | UInt8(scaling.exponent))
        entry.putSigned(integer)
        return .constantDecimal
    }

    /// A hash of values; what it finds is compared.
    private static func hash(_ bits: [UInt64]) -> UInt64 {
        var hash: UInt64 = 0x9e37_79b9_7f4a_7c15
        for value in bits {
            hash = (hash ^ value) &* 0xff51_afd7_ed55_8ccd
            hash ^= hash &>> 32
        }
        return hash
    }
}
