internal import Telemetry

/// What a chunk header says about its values, so that `sum_over_time`, `increase` and their like decode nothing.
///
/// Stale markers are not counted. A chunk with a value that is not finite has no summary: its samples decide.
struct ChunkSummary: Equatable {
    var sum = 0.0
    var minimum = 0.0
    var maximum = 0.0
    var first = 0.0
    var last = 0.0
    /// How often the value went down.
    var resets = 0
    /// Last minus first, with what every reset lost added back.
    var increase = 0.0

    private enum Mode: UInt8 {
        case none = 0
        case integers = 1
        case doubles = 2
    }
    private static let constantFlag: UInt8 = 0b100
    private static let monotoneFlag: UInt8 = 0b1000

    /// Sums up `bits`; nil when there are none or one is not finite.
    init?(_ bits: ArraySlice<UInt64>) {
        guard let start = bits.first else { return nil }
        first = Double(bitPattern: start)
        (minimum, maximum, last) = (first, first, first)
        var compensation = 0.0
        var lost = 0.0
        for pattern in bits {
            let value = Double(bitPattern: pattern)
            guard value.isFinite else { return nil }
            // Neumaier's sum, as Prometheus adds.
            let total = sum + value
            compensation += sum.magnitude >= value.magnitude ? (sum - total) + value : (value - total) + sum
            sum = total
            if value < last {
                resets += 1
                lost += last
            }
            minimum = min(minimum, value)
            maximum = max(maximum, value)
            last = value
        }
        sum += compensation
        increase = last - first + lost
        guard sum.isFinite, increase.isFinite else { return nil }
    }

    private init() {}

    /// Appends the summary of a column: short where its values are integers at one scale, doubles otherwise.
    static func encode(bits: ArraySlice<UInt64>, decimals: FloatColumn.Decimals?, into writer: inout ByteWriter) {
        if let decimals, let integers = IntegerSummary(decimals.integers) {
            return integers.encode(exponent: decimals.exponent, count: decimals.integers.count, into: &writer)
        }
        guard let summary = ChunkSummary(bits) else { return writer.put(Mode.none.rawValue) }
        writer.put(Mode.doubles.rawValue)
        for value in [summary.sum, summary.minimum, summary.maximum, summary.first, summary.last, summary.increase] {
            writer.putDouble(value)
        }
        writer.putVarint(UInt64(summary.resets))
    }

    /// Reads what `encode` wrote for a column of `count` values; nil when it has no summary.
    static func decode(count: Int, from reader: inout ByteReader) throws(ByteError) -> ChunkSummary? {
        let head = try reader.byte()
        guard let mode = Mode(rawValue: head & 0b11) else {
            throw ByteError(offset: reader.offset - 1, reason: "chunk summary of an unknown kind \(head)")
        }
        var summary = ChunkSummary()
        switch mode {
        case .none: return nil
        case .integers:
            let integers = try IntegerSummary(count: count, head: head, from: &reader)
            let exponent = Int(head >> 4)
            func value(_ integer: Int64) -> Double { DecimalScale.value(integer, exponent: exponent) }
            (summary.sum, summary.resets) = (value(integers.sum), integers.resets)
            (summary.minimum, summary.maximum) = (value(integers.minimum), value(integers.maximum))
            (summary.first, summary.last) = (value(integers.first), value(integers.last))
            summary.increase = value(integers.increase)
        case .doubles:
            (summary.sum, summary.minimum) = (try reader.double(), try reader.double())
            (summary.maximum, summary.first) = (try reader.double(), try reader.double())
            (summary.last, summary.increase) = (try reader.double(), try reader.double())
            summary.resets = try reader.count(upTo: count, "resets")
        }
        return summary
    }
}

extension ChunkSummary {
    /// The same figures as integers at the column's scale, where they are exact.
    private struct IntegerSummary {
        var sum: Int64 = 0
        var minimum: Int64
        var maximum: Int64
        var first: Int64
        var last: Int64
        var resets = 0
        var increase: Int64 = 0

        /// Nil when a figure does not fit 64 bits.
        init?(_ integers: [Int64]) {
            guard let start = integers.first else { return nil }
            (minimum, maximum, first, last) = (start, start, start, start)
            for value in integers {
                let (total, overflow) = sum.addingReportingOverflow(value)
                if overflow { return nil }
                sum = total
                if value < last {
                    resets += 1
                    let (lost, overflow) = increase.addingReportingOverflow(last)
                    if overflow { return nil }
                    increase = lost
                }
                minimum = min(minimum, value)
                maximum = max(maximum, value)
                last = value
            }
            let (total, overflow) = increase.addingReportingOverflow(last - first)
            if overflow { return nil }
            increase = total
        }

        var isConstant: Bool { minimum == maximum }
        var isMonotone: Bool { resets == 0 }

        func encode(exponent: Int, count: Int, into writer: inout ByteWriter) {
            var head = Mode.integers.rawValue | UInt8(exponent) << 4
            if isConstant { head |= ChunkSummary.constantFlag } else if isMonotone { head |= ChunkSummary.monotoneFlag }
            writer.put(head)
            writer.putSigned(first)
            if isConstant { return }
            writer.putSigned(last - first)
            writer.putSigned(sum &- first &* Int64(count))
            if isMonotone { return }
            writer.putSigned(first - minimum)
            writer.putSigned(maximum - first)
            writer.putVarint(UInt64(resets))
            writer.putSigned(increase)
        }

        init(count: Int, head: UInt8, from reader: inout ByteReader) throws(ByteError) {
            first = try reader.signed()
            (minimum, maximum, last) = (first, first, first)
            sum = first &* Int64(count)
            if head & ChunkSummary.constantFlag != 0 { return }
            last = first &+ (try reader.signed())
            sum = (try reader.signed()) &+ first &* Int64(count)
            (maximum, increase) = (last, last &- first)
            if head & ChunkSummary.monotoneFlag != 0 { return }
            minimum = first &- (try reader.signed())
            maximum = first &+ (try reader.signed())
            resets = try reader.count(upTo: count, "resets")
            increase = try reader.signed()
        }
    }
}
