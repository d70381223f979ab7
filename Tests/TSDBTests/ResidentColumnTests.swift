import Telemetry
import TestSupport
import Testing

@testable import TSDB

/// Columns that are kept in memory give back every bit of the page they were read from, from any row on.
struct ResidentColumnTests {
    @Test(arguments: 0..<40) func columnsThatAreKeptComeBackBitwise(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        let columns = ColumnGenerator.relatives(using: &generator)
        for isSealed in [false, true] {
            let found = try ColumnBytes.throughStrip(columns, isSealed: isSealed, isKeeping: true)
            #expect(found == columns, "seed \(seed)")
        }
    }

    @Test(arguments: 0..<40) func anyPartOfAColumnIsTheSameWithAndWithoutVectors(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        for width in stride(from: 0, to: 63, by: 3) {
            let column = Self.column(width: width, using: &generator)
            let all = column.bits
            for _ in 0..<4 {
                let start = generator.int(in: 0..<all.count)
                let end = start + generator.int(in: 0..<all.count - start + 1)
                var fast = [UInt64](repeating: 1, count: end - start + 1)
                var plain = fast
                column.read(start..<end, into: &fast)
                column.readPortably(start..<end, into: &plain)
                #expect(fast == plain, "seed \(seed), width \(width)")
                #expect(Array(fast.dropLast()) == Array(all[start..<end]), "seed \(seed), width \(width)")
                #expect(fast.last == 1, "written behind the end, seed \(seed)")
            }
        }
    }

    /// Integers of about so many bits, rising or not, with all that may stand beside them.
    private static func column(width: Int, using generator: inout SeededGenerator) -> ResidentColumn {
        let count = generator.int(in: 1..<500)
        let isRising = generator.oneIn(2)
        var integers = FloatColumn.Integers(values: [0])
        for _ in 1..<count {
            let step = Int64(bitPattern: generator.next() & ((1 << UInt64(width)) - 1))
            integers.values.append(isRising ? integers.values[integers.values.count - 1] &+ step : -step)
        }
        integers.values.removeLast(integers.values.count - count)
        if generator.oneIn(3) {
            integers.corrections = integers.values.map { _ in Int64(generator.int(in: 0..<400)) - 200 }
        }
        if generator.oneIn(3) {
            let start = generator.int(in: 0..<count)
            integers.exceptions = [ValueException(range: start..<min(count, start + 3), bits: 0x7ff8_0000_0000_0001)]
        }
        let operation = generator.pick([
            ColumnScaling.Operation.integer, .divided, .multiplied, .thousandths, .bitPattern,
        ])
        var header = FloatColumn(scaling: ColumnScaling(operation: operation, exponent: generator.int(in: 1..<16)))
        header.first = Int64(bitPattern: generator.next()) >> Int64(generator.int(in: 8..<63))
        header.divisor = UInt64(generator.pick([1, 3, 4096, 15_000, 1 << 40]))
        return ResidentColumn(header, integers)
    }

    @Test(arguments: 0..<20) func integersThatOthersReferToComeBack(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        let values = [0] + ColumnGenerator.integers(using: &generator)
        let header = FloatColumn(scaling: .integer)
        #expect(ResidentColumn(header, FloatColumn.Integers(values: values)).integers == values, "seed \(seed)")
    }
}
