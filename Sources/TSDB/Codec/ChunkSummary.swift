internal import Telemetry

/// What a chunk header says about its values, so that `sum_over_time`, `increase` and their like decode nothing.
///
/// Stale markers are not counted. A chunk with a value that is not finite has no summary: its samples decide.
struct ChunkSummary: Equatable, Sendable {
    /// How much a header says; docs/formats/metric-block.md has the layout.
    enum Extent {
        case none
        /// The values never fall: sum, first, last, and what follows from them.
        case rising
        case full
    }

    /// Nil where the header does not say it.
    var sum: Double?
    var minimum = 0.0
    var maximum = 0.0
    var first = 0.0
    var last = 0.0
    /// How often the value went down.
    var resets = 0
    /// Last minus first, with what every reset lost added back; nil where the header does not say it.
    var increase: Double?

    /// More resets than one in so many values are a gauge's, of which nobody wants the increase.
    private static let valuesPerReset = 16

    /// The summary of `count` equal values; nil where that is not a number.
    init?(constant value: Double, count: Int) {
        guard value.isFinite else { return nil }
        (minimum, maximum, first, last) = (value, value, value, value)
        let total = value * Double(count)
        sum = total.isFinite ? total : nil
        increase = 0
    }

    private init() {}

    /// Sums up `bits`; nil when there are none or one is not finite.
    init?(_ bits: [UInt64]) {
        guard let start = bits.first else { return nil }
        first = Double(bitPattern: start)
        (minimum, maximum, last) = (first, first, first)
        var sum = 0.0
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
        self.sum = sum + compensation
        let increase = last - first + lost
        self.increase = increase
        guard (sum + compensation).isFinite, increase.isFinite else { return nil }
    }
}

extension ChunkSummary {
    /// The figures of a column of integers, in multiples of its divisor above its first value.
    private struct Figures {
        var minimum: Int64 = 0
        var maximum: Int64 = 0
        var last: Int64 = 0
        var sum: Int64 = 0
        var resets = 0
        /// The sum of the values before each reset.
        var lost: Int64 = 0

        /// Nil when a figure does not fit 64 bits.
        init?(_ integers: [Int64]) {
            for value in integers {
                let (total, overflow) = sum.addingReportingOverflow(value)
                if overflow { return nil }
                sum = total
                if value < last {
                    resets += 1
                    let (lost, overflow) = lost.addingReportingOverflow(last)
                    if overflow { return nil }
                    self.lost = lost
                }
                minimum = min(minimum, value)
                maximum = max(maximum, value)
                last = value
            }
        }

        init() {}
    }

    /// The sum that a column would have which rises steadily from 0 to `last`.
    private static func steadySum(_ last: Int64, count: Int) -> Int64 { last &* Int64(count) / 2 }

    /// Appends what is to be said about an encoded column and returns how much that is.
    static func encode(_ encoded: FloatColumnEncoder.Encoded, bits: [UInt64], into writer: inout ByteWriter) -> Extent {
        if let integers = encoded.exactIntegers, let figures = Figures(integers) {
            if figures.resets == 0 {
                writer.putVarint(UInt64(figures.last))
                writer.putSigned(figures.sum &- Self.steadySum(figures.last, count: integers.count))
                return .rising
            }
            writer.putVarint(UInt64(figures.minimum.magnitude))
            writer.putVarint(UInt64(figures.maximum))
            writer.putSigned(figures.last)
            writer.putSigned(figures.sum)
            writer.putVarint(UInt64(figures.resets))
            if figures.resets * valuesPerReset <= integers.count { writer.putSigned(figures.lost) }
            return .full
        }
        guard let summary = ChunkSummary(bits) else { return .none }
        if summary.resets == 0 {
            writer.putDouble(summary.first)
            writer.putDouble(summary.last)
            writer.putDouble(summary.sum ?? 0)
            return .rising
        }
        for value in [summary.minimum, summary.maximum, summary.first, summary.last, summary.sum ?? 0] {
            writer.putDouble(value)
        }
        writer.putVarint(UInt64(summary.resets))
        if summary.resets * valuesPerReset <= bits.count { writer.putDouble(summary.increase ?? 0) }
        return .full
    }

    /// Reads what `encode` wrote for a column of `count` values; nil when it has no summary.
    static func decode(
        _ extent: Extent, of column: FloatColumn, count: Int, from reader: inout ByteReader
    ) throws(ByteError) -> ChunkSummary? {
        guard extent != .none else { return nil }
        var summary = ChunkSummary()
        guard column.scaling.operation.isExact, !column.hasExceptions else {
            if extent == .rising {
                (summary.first, summary.last) = (try reader.double(), try reader.double())
                (summary.minimum, summary.maximum) = (summary.first, summary.last)
                summary.increase = summary.last - summary.first
                summary.sum = try reader.double()
                return summary
            }
            (summary.minimum, summary.maximum) = (try reader.double(), try reader.double())
            (summary.first, summary.last) = (try reader.double(), try reader.double())
            summary.sum = try reader.double()
            summary.resets = try reader.count(upTo: count, "resets")
            if summary.resets * valuesPerReset <= count { summary.increase = try reader.double() }
            return summary
        }
        var figures = Figures()
        if extent == .rising {
            figures.last = Int64(bitPattern: try reader.varint())
            figures.maximum = figures.last
            figures.sum = (try reader.signed()) &+ Self.steadySum(figures.last, count: count)
        } else {
            figures.minimum = 0 &- Int64(bitPattern: try reader.varint())
            figures.maximum = Int64(bitPattern: try reader.varint())
            (figures.last, figures.sum) = (try reader.signed(), try reader.signed())
            figures.resets = try reader.count(upTo: count, "resets")
            if figures.resets * valuesPerReset <= count { figures.lost = try reader.signed() }
        }
        summary.fill(figures, of: column, count: count)
        return summary
    }

    /// Scales figures back to values. Sums that would not be exact are left out.
    private mutating func fill(_ figures: Figures, of column: FloatColumn, count: Int) {
        let divisor = Int64(truncatingIfNeeded: column.divisor)
        func value(_ multiple: Int64) -> Double { column.scaling.value(column.first &+ multiple &* divisor) }
        (minimum, maximum) = (value(figures.minimum), value(figures.maximum))
        (first, last) = (value(0), value(figures.last))
        resets = figures.resets
        sum = column.exact(figures.sum, firsts: count)
        guard resets * Self.valuesPerReset <= count else { return }
        increase = column.exact(figures.last &+ figures.lost, firsts: resets)
    }
}

extension FloatColumn {
    /// The value of so many multiples of the divisor and so many first values, nil where integers beyond 2^53 are on
    /// the way: adding up the values would not be exact there.
    fileprivate func exact(_ multiples: Int64, firsts: Int) -> Double? {
        let (product, isOver) = multiples.multipliedReportingOverflow(by: Int64(truncatingIfNeeded: divisor))
        let (base, isBaseOver) = first.multipliedReportingOverflow(by: Int64(firsts))
        let (total, isTotalOver) = product.addingReportingOverflow(base)
        guard !isOver, !isBaseOver, !isTotalOver, total.magnitude <= 1 << 53 else { return nil }
        return scaling.value(total)
    }
}
