import Telemetry
import TestSupport
import Testing

@testable import TSDB

/// Every codec gives back every bit, whatever the values are.
struct CodecTests {
    @Test(arguments: 0..<40) func floatColumnsComeBackBitwise(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        for _ in 0..<30 {
            let bits = ColumnGenerator.floats(using: &generator)
            let encoded = FloatColumn.encode(bits[...])
            let decoded = try encoded.bytes.withUnsafeBytes { try FloatColumn.decode(count: bits.count, from: $0) }
            #expect(decoded == bits, "seed \(seed)")
            if let decimals = encoded.decimals {
                let again = decimals.integers.map { DecimalScale.bits($0, exponent: decimals.exponent) }
                #expect(again == bits, "seed \(seed)")
            }
        }
    }

    @Test(arguments: 0..<40) func integerColumnsComeBack(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        for _ in 0..<30 {
            let values = ColumnGenerator.integers(using: &generator)
            var writer = ByteWriter()
            IntegerColumn.encode(values, into: &writer)
            let decoded = try writer.bytes.withUnsafeBytes { raw in
                var reader = ByteReader(raw)
                let decoded = try IntegerColumn.decode(count: values.count, from: &reader)
                #expect(reader.isAtEnd)
                return decoded
            }
            #expect(decoded == values, "seed \(seed)")
        }
    }

    @Test func regularTimestampsTakeADozenBytes() {
        let times = (0..<480).map { Int64(1_700_000_000_000) + Int64($0) * 15_000 }
        var writer = ByteWriter()
        IntegerColumn.encode(times, into: &writer)
        #expect(writer.count <= 12)
    }

    @Test func countersOfPagesTakeFarLessThanXOR() {
        var generator = SeededGenerator(seed: 7)
        var value = 0
        let bits = (0..<480).map { _ in
            value += generator.int(in: 0..<64) * 4096
            return Double(value).bitPattern
        }
        #expect(FloatColumn.encode(bits[...]).bytes.count * 2 < XORColumn.encode(bits[...]).count)
    }

    @Test(arguments: 0..<40) func damagedColumnsThrowOrDecodeButNeverCrash(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        for _ in 0..<20 {
            let bits = ColumnGenerator.floats(using: &generator)
            var bytes = FloatColumn.encode(bits[...]).bytes
            for _ in 0..<4 { bytes[generator.int(in: 0..<bytes.count)] = UInt8(truncatingIfNeeded: generator.next()) }
            if generator.oneIn(2) { bytes.removeLast(generator.int(in: 0..<bytes.count)) }
            let decoded = bytes.withUnsafeBytes { try? FloatColumn.decode(count: bits.count, from: $0) }
            #expect(decoded == nil || decoded?.count == bits.count)
        }
    }

    @Test(arguments: 0..<40) func summariesAgreeWithTheValues(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        let bits = ColumnGenerator.floats(using: &generator)
        let encoded = FloatColumn.encode(bits[...])
        var writer = ByteWriter()
        ChunkSummary.encode(bits: bits[...], decimals: encoded.decimals, into: &writer)
        let decoded = try writer.bytes.withUnsafeBytes { raw in
            var reader = ByteReader(raw)
            return try ChunkSummary.decode(count: bits.count, from: &reader)
        }
        guard let expected = ChunkSummary(bits[...]), let decoded else { return }
        #expect(decoded.minimum == expected.minimum && decoded.maximum == expected.maximum)
        #expect(decoded.first == expected.first && decoded.last == expected.last)
        #expect(decoded.resets == expected.resets)
        #expect((decoded.sum - expected.sum).magnitude <= 1e-9 * scale(bits))
        #expect((decoded.increase - expected.increase).magnitude <= 1e-9 * scale(bits))
    }

    private func scale(_ bits: [UInt64]) -> Double { bits.map { Double(bitPattern: $0).magnitude }.max() ?? 0 }

    @Test(arguments: 0..<30) func histogramsComeBack(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        let histograms = (0..<10).map { _ in ColumnGenerator.histogram(using: &generator) }
        let bytes = HistogramColumn.encode(histograms[...])
        let decoded = try bytes.withUnsafeBytes { try HistogramColumn.decode(count: histograms.count, from: $0) }
        #expect(HistogramColumn.encode(decoded[...]) == bytes)
        #expect(zip(decoded, histograms).allSatisfy { $0.isIdentical(to: $1) })
    }

    @Test(arguments: 0..<40) func rowSetsComeBack(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        let density = generator.int(in: 1..<8)
        let rows = (0..<480).filter { _ in generator.oneIn(density) }
        guard !rows.isEmpty else { return }
        var writer = ByteWriter()
        RowRuns(rows).encode(rowCount: 480, into: &writer)
        let decoded = try writer.bytes.withUnsafeBytes { raw in
            var reader = ByteReader(raw)
            return try RowRuns(rowCount: 480, from: &reader)
        }
        #expect(decoded.rows == rows)
    }
}

/// Columns of every kind that metrics have, and of kinds they should not have.
enum ColumnGenerator {
    static func floats(using generator: inout SeededGenerator) -> [UInt64] {
        let count = generator.int(in: 1..<600)
        let kind = generator.int(in: 0..<9)
        let constant = generator.oneIn(2) ? generator.next() : generator.pick(special)
        let scale = generator.pick([1.0, 10, 100, 1000, 1e6])
        var walk = Double(generator.int(in: 0..<1_000_000))
        return (0..<count).map { _ in
            if kind > 1, generator.oneIn(50) { return generator.pick(special) }
            walk += Double(generator.int(in: 0..<1000)) - (kind == 3 ? 0 : 500)
            switch kind {
            case 0: return constant
            case 1: return generator.next()
            case 2: return generator.pick(special)
            case 3: return walk.bitPattern
            case 4: return (walk / scale).bitPattern
            case 5: return (walk * 4096).bitPattern
            case 6: return (walk / 7).bitPattern
            case 7: return Double.random(in: 0..<1, using: &generator).bitPattern
            default: return Double(generator.int(in: 0..<3)).bitPattern
            }
        }
    }

    /// Zero, minus zero, infinities, NaNs with payloads, subnormal numbers, the edge of the integers, a float sum.
    static let special: [UInt64] = [
        0, 1, Double(-0.0).bitPattern, Double.infinity.bitPattern, (-Double.infinity).bitPattern,
        Sample.staleBits, Double.nan.bitPattern, 0x7ff8_dead_beef_0001, 0xfff8_0000_0000_0000,
        Double.leastNonzeroMagnitude.bitPattern, Double.greatestFiniteMagnitude.bitPattern,
        Double(9_007_199_254_740_993).bitPattern, (0.1 + 0.2).bitPattern,
    ]

    static func integers(using generator: inout SeededGenerator) -> [Int64] {
        let count = generator.int(in: 1..<600)
        let kind = generator.int(in: 0..<6)
        var walk: Int64 = 1_700_000_000_000
        return (0..<count).map { index in
            walk += Int64(generator.int(in: 14_990..<15_010))
            switch kind {
            case 0: return Int64(bitPattern: generator.next())
            case 1: return generator.pick([.min, .max, 0, -1, 1])
            case 2: return walk
            case 3: return Int64(index) * 4096
            case 4: return generator.oneIn(60) ? Int64(bitPattern: generator.next()) : Int64(generator.int(in: 0..<9))
            default: return 42
            }
        }
    }

    static func histogram(using generator: inout SeededGenerator) -> NativeHistogram {
        var histogram = NativeHistogram()
        histogram.schema = Int32(generator.int(in: -4..<9))
        histogram.zeroThreshold = generator.oneIn(2) ? 0.001 : 0
        histogram.isInteger = generator.oneIn(2)
        let isInteger = histogram.isInteger
        let buckets = generator.int(in: 0..<20)
        func count() -> Double {
            isInteger ? Double(generator.int(in: 0..<1000)) : Double(bitPattern: generator.next())
        }
        if buckets > 0 { histogram.positiveSpans = [NativeHistogram.Span(offset: -3, length: UInt32(buckets))] }
        histogram.positiveCounts = (0..<buckets).map { _ in count() }
        histogram.zeroCount = count()
        histogram.count = count()
        histogram.sum = Double(bitPattern: generator.next())
        histogram.counterResetHint = generator.pick([.unknown, .reset, .notReset, .gauge])
        if generator.oneIn(4) { histogram.customBounds = [0.1, 1, 10] }
        return histogram
    }
}
