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
            for isSealed in [false, true] {
                let bytes = ColumnBytes.encode(bits, isSealed: isSealed)
                #expect(try ColumnBytes.decode(bytes, count: bits.count) == bits, "seed \(seed)")
            }
        }
    }

    @Test(arguments: 0..<40) func columnsThatReferToOneAnotherComeBackBitwise(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        let columns = ColumnGenerator.relatives(using: &generator)
        for isSealed in [false, true] {
            #expect(try ColumnBytes.throughStrip(columns, isSealed: isSealed) == columns, "seed \(seed)")
        }
    }

    @Test(arguments: 0..<40) func vectorAndScalarScalingAgree(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        for width in 0..<64 {
            let values = (0..<100).map { _ in
                Int64(bitPattern: generator.next() & ((1 << UInt64(width)) - 1)) &- Int64(1) << Int64(width / 2)
            }
            let first = Int64(bitPattern: generator.next()) >> Int64(generator.int(in: 8..<63))
            let divisor = UInt64(generator.pick([1, 3, 4096, 15_000, 1 << 40]))
            for operation in [ColumnScaling.Operation.integer, .divided, .multiplied, .thousandths, .bitPattern] {
                let scaling = ColumnScaling(operation: operation, exponent: generator.int(in: 1..<16))
                var fast = [UInt64](repeating: 1, count: 100)
                var plain = [UInt64](repeating: 2, count: 100)
                values.withUnsafeBufferPointer { values in
                    scaling.scale(values, first: first, divisor: divisor, into: &fast)
                    scaling.scalePortably(values, first: first, divisor: divisor, into: &plain)
                }
                #expect(fast == plain, "seed \(seed), \(operation), width \(width)")
            }
        }
    }

    @Test func outliersAmongSmallIntegersAndCountersPast53BitsComeBack() throws {
        let largest = Double(UInt64.max).bitPattern
        for isSealed in [false, true] {
            var bits = (0..<480).map { Double($0 % 7).bitPattern }
            for index in stride(from: 5, to: 480, by: 77) { bits[index] = largest }
            let counter = (0..<480).map { (9_007_199_254_740_900.0 + Double($0)).bitPattern }
            let reset = (0..<480).map { Double($0 < 300 ? 1_000_000 + $0 : $0).bitPattern }
            for column in [bits, counter, reset] {
                let bytes = ColumnBytes.encode(column, isSealed: isSealed)
                #expect(try ColumnBytes.decode(bytes, count: 480) == column)
            }
        }
    }

    @Test(arguments: 0..<40) func integerColumnsComeBack(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        for _ in 0..<30 {
            let values = ColumnGenerator.integers(using: &generator)
            var writer = ByteWriter()
            IntegerColumn.encode(values, into: &writer)
            let padded = PaddedBytes(writer.bytes)
            let decoded = try padded.parse { raw throws(any Error) in
                var reader = ByteReader(raw)
                let decoded = try IntegerColumn.decode(count: values.count, from: &reader)
                #expect(reader.isAtEnd)
                return decoded
            }
            #expect(decoded == values, "seed \(seed)")
        }
    }

    @Test(arguments: 0..<60) func columnsOfTheHeadComeBackBitwise(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        var extras = ColumnExtras()
        // Columns of one table share them.
        let columns = (0..<4).map { _ in ColumnGenerator.floats(using: &generator) }
        var heads = columns.map { _ in HeadColumn() }
        for row in 0..<(columns.map(\.count).max() ?? 0) {
            for (index, bits) in columns.enumerated() where row < bits.count {
                _ = heads[index].append(row: UInt32(row), bits: bits[row], start: 0, &extras)
            }
        }
        for (head, bits) in zip(heads, columns) {
            #expect(head.bits(first: bits.count, extras) == bits)
            let some = generator.int(in: 0..<bits.count + 1)
            #expect(head.bits(first: some, extras) == Array(bits.prefix(some)))
        }
    }

    @Test(arguments: 0..<200) func blocksOfEightValuesComeBackBitwise(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        var bits = ColumnGenerator.floats(using: &generator)
        while bits.count < ValueBlock.count { bits += bits }
        let last = generator.oneIn(2) ? generator.pick(ColumnGenerator.special) : bits[0]
        let block = Array(bits.prefix(ValueBlock.count))
        let space = UnsafeMutableRawBufferPointer.allocate(byteCount: ValueBlock.bytesMaximum, alignment: 8)
        defer { space.deallocate() }
        let count = block.withUnsafeBufferPointer { ValueBlock.write($0, behind: last, into: space) }
        #expect(count > 0 && space[0] < 0x80)
        var read = [UInt64](repeating: 0, count: ValueBlock.count)
        var place = 0
        read.withUnsafeMutableBufferPointer {
            ValueBlock.read(UnsafeRawBufferPointer(rebasing: space[..<count]), at: &place, behind: last, into: $0)
        }
        #expect(read == block && place == count)
    }

    @Test func decimalsOfTheHeadTakeAFewBitsEach() {
        let space = UnsafeMutableRawBufferPointer.allocate(byteCount: ValueBlock.bytesMaximum, alignment: 8)
        defer { space.deallocate() }
        func bytes(behind last: Double, _ value: (Int) -> Double) -> Int {
            let bits = (1...ValueBlock.count).map { value($0).bitPattern }
            return bits.withUnsafeBufferPointer { ValueBlock.write($0, behind: last.bitPattern, into: space) }
        }
        #expect(bytes(behind: 1_000_000) { Double(1_000_000 + $0 * 117) } == 4)
        #expect(bytes(behind: 4_096_000) { Double(4096 * (1000 + $0 % 3)) } == 5)
        #expect(bytes(behind: 123.45) { Double(12_345 + 7 * $0 + $0 % 2) / 100 } == 4)
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
        #expect(ColumnBytes.encode(bits).count * 2 < XORColumn.encode(bits[...]).count)
    }

    @Test(arguments: 0..<40) func damagedColumnsThrowOrDecodeButNeverCrash(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        for _ in 0..<20 {
            let bits = ColumnGenerator.floats(using: &generator)
            var bytes = ColumnBytes.encode(bits, isSealed: generator.oneIn(2))
            for _ in 0..<4 { bytes[generator.int(in: 0..<bytes.count)] = UInt8(truncatingIfNeeded: generator.next()) }
            if generator.oneIn(2) { bytes.removeLast(generator.int(in: 0..<bytes.count)) }
            let decoded = try? ColumnBytes.decode(bytes, count: bits.count)
            #expect(decoded == nil || decoded?.count == bits.count)
        }
    }

    @Test(arguments: 0..<40) func summariesAgreeWithTheValues(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        let bits = ColumnGenerator.floats(using: &generator)
        let padded = PaddedBytes(ColumnBytes.encode(bits))
        let entry = try padded.parse { (raw: UnsafeRawBufferPointer) throws(ByteError) -> StripEntry in
            var reader = ByteReader(raw)
            return try ColumnBytes.entry(count: bits.count, from: &reader)
        }
        guard let expected = ChunkSummary(bits), let decoded = entry.summary else { return }
        #expect(decoded.minimum == expected.minimum && decoded.maximum == expected.maximum)
        #expect(decoded.first == expected.first && decoded.last == expected.last)
        #expect(decoded.resets == expected.resets)
        if let sum = decoded.sum { #expect((sum - (expected.sum ?? .nan)).magnitude <= 1e-9 * scale(bits)) }
        if let increase = decoded.increase {
            #expect((increase - (expected.increase ?? .nan)).magnitude <= 1e-9 * scale(bits))
        }
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
        RowRuns(rows).encode(rowCount: 480, after: nil, into: &writer)
        RowRuns(rows).encode(rowCount: 480, after: RowRuns(rows), into: &writer)
        let decoded = try writer.bytes.withUnsafeBytes { raw in
            var reader = ByteReader(raw)
            let first = try RowRuns(rowCount: 480, after: nil, from: &reader)
            #expect(try RowRuns(rowCount: 480, after: first, from: &reader) == first && reader.isAtEnd)
            return first
        }
        #expect(decoded.rows == rows)
    }
}
