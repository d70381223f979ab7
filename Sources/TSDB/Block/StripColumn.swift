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

/// Which rows of a strip a column has, and which of them are stale markers. Columns of one shape can be compared value
/// by value.
struct ColumnShape: Hashable, Sendable {
    /// Nil for all rows.
    var presence: RowRuns?
    /// Nil for none.
    var stale: RowRuns?

    /// The shape of a column; `live` gets its values without stale markers.
    init(_ column: StripColumn, rowCount: Int, live: inout [UInt64]) {
        if column.rows.count < rowCount { presence = RowRuns(column.rows) }
        live = column.bits
        guard column.bits.contains(Sample.staleBits) else { return }
        live.removeAll { $0 == Sample.staleBits }
        var stale = RowRuns()
        for (index, bits) in column.bits.enumerated() where bits == Sample.staleBits {
            stale.append(column.rows[index])
        }
        self.stale = stale
    }

    /// A shape as it was read.
    init(presence: RowRuns?, stale: RowRuns?) {
        (self.presence, self.stale) = (presence, stale)
    }
}

/// What the header of a strip says about one column.
struct StripEntry: Sendable {
    /// What stands in an entry, in the lowest bits of its first byte.
    enum Kind: UInt8 {
        /// The value is the same in all rows: an integer, a scaled integer, or a bit pattern.
        case constantInteger = 0
        case constantDecimal = 1
        case constantBits = 2
        /// Value for value the same as a column before it.
        case duplicate = 3
        /// Floats with no summary, with a short one because they never fall, and with a full one.
        case floats = 4
        case risingFloats = 5
        case summedFloats = 6
        case histograms = 7

        /// How much the summary says.
        var extent: ChunkSummary.Extent {
            switch self {
            case .risingFloats: .rising
            case .summedFloats: .full
            default: .none
            }
        }
    }

    /// Where the values are.
    enum Values: Sendable {
        case constant(UInt64)
        /// The place of another entry in the strip.
        case duplicate(Int)
        case floats(FloatColumn)
        case histograms
    }

    static let kindMask: UInt8 = 0b111
    static let startsFlag: UInt8 = 0b1000
    static let presenceFlag: UInt8 = 0b1_0000
    static let staleFlag: UInt8 = 0b10_0000
    static let stepFlag: UInt8 = 0b100_0000

    let ordinal: UInt32
    let values: Values
    let hasStarts: Bool
    let shape: ColumnShape
    /// How many rows have a sample, stale markers among them.
    let rowCount: Int
    /// Values without stale markers.
    let valueCount: Int
    /// Nil where a value is not finite, for histograms, and where all are stale markers.
    let summary: ChunkSummary?
    /// Where the column's bytes begin in the strip's stream, and how many they are.
    let bodyOffset: Int
    let bodyByteCount: Int

    var isHistogram: Bool {
        if case .histograms = values { return true }
        return false
    }

    /// Reads an entry behind `before`, of a strip with `stripRowCount` rows; its body begins at `bodyOffset`.
    init(
        behind before: [StripEntry], of location: StripLocation, stripRowCount: Int, bodyOffset: Int,
        from reader: inout ByteReader
    ) throws(ByteError) {
        let head = try reader.byte()
        guard head & 0x80 == 0, let kind = Kind(rawValue: head & Self.kindMask) else {
            throw ByteError(offset: reader.offset - 1, reason: "column of an unknown kind \(head)")
        }
        let previous = before.last?.ordinal ?? location.ordinals.lowerBound
        let room = Int(UInt32.max - previous)
        let step =
            head & Self.stepFlag != 0 ? try reader.count(upTo: room, "series step") : min(before.isEmpty ? 0 : 1, room)
        ordinal = previous + UInt32(step)
        hasStarts = head & Self.startsFlag != 0
        var shape = ColumnShape(presence: nil, stale: nil)
        if head & Self.presenceFlag != 0 {
            let last = before.last { $0.shape.presence != nil }?.shape.presence
            shape.presence = try RowRuns(rowCount: stripRowCount, after: last, from: &reader)
        }
        if head & Self.staleFlag != 0 {
            let last = before.last { $0.shape.stale != nil }?.shape.stale
            shape.stale = try RowRuns(rowCount: stripRowCount, after: last, from: &reader)
        }
        self.shape = shape
        rowCount = shape.presence?.count ?? stripRowCount
        let count = rowCount - (shape.stale?.count ?? 0)
        guard rowCount > 0, count >= 0, kind != .histograms || shape.stale == nil else {
            throw ByteError(offset: reader.offset, reason: "column with more stale markers than samples")
        }
        valueCount = count
        (values, summary) = try Self.values(kind, count: count, behind: before, shape, from: &reader)
        self.bodyOffset = bodyOffset
        let hasBody = hasStarts || kind.rawValue >= Kind.floats.rawValue
        bodyByteCount = hasBody ? try reader.count(upTo: BlockFormat.sectionByteCountMaximum, "column length") : 0
    }

    private static func values(
        _ kind: Kind, count: Int, behind before: [StripEntry], _ shape: ColumnShape, from reader: inout ByteReader
    ) throws(ByteError) -> (Values, ChunkSummary?) {
        func constant(_ bits: UInt64) -> (Values, ChunkSummary?) {
            let summary = count > 0 ? ChunkSummary(constant: Double(bitPattern: bits), count: count) : nil
            return (.constant(bits), summary)
        }
        switch kind {
        case .constantInteger: return constant(ColumnScaling.integer.value(try reader.signed()).bitPattern)
        case .constantDecimal:
            let head = try reader.byte()
            guard let operation = ColumnScaling.Operation(rawValue: head >> 4), operation.isExact else {
                throw ByteError(offset: reader.offset - 1, reason: "scaling \(head) of a constant is not known")
            }
            let scaling = ColumnScaling(operation: operation, exponent: Int(head & 15))
            return constant(scaling.value(try reader.signed()).bitPattern)
        case .constantBits: return constant(try reader.fixed())
        case .duplicate:
            let distance = try reader.count(upTo: before.count, "distance of a duplicate")
            guard distance > 0 else { throw ByteError(offset: reader.offset, reason: "a column is its own duplicate") }
            let place = before.count - distance
            guard before[place].shape == shape, case .floats = before[place].values else {
                throw ByteError(offset: reader.offset, reason: "a duplicate of a column of another shape")
            }
            return (.duplicate(place), before[place].summary)
        case .histograms: return (.histograms, nil)
        case .floats, .risingFloats, .summedFloats:
            let column = try FloatColumn(index: before.count, from: &reader)
            if column.referenceDistance > 0 {
                let other = before[before.count - column.referenceDistance]
                guard other.shape == shape, case .floats(let header) = other.values,
                    header.scaling.operation.hasIntegers
                else { throw ByteError(offset: reader.offset, reason: "a reference to a column of another shape") }
            }
            let summary = try ChunkSummary.decode(kind.extent, of: column, count: count, from: &reader)
            return (.floats(column), summary)
        }
    }
}
