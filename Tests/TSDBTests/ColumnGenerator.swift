import Telemetry
import TestSupport

@testable import TSDB

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

    /// Counters of one family: alike, equal, scaled, with gaps in step, and some strangers.
    static func relatives(using generator: inout SeededGenerator) -> [[UInt64]] {
        let count = generator.int(in: 2..<500)
        var columns: [[UInt64]] = []
        var walk = (0..<count).map { _ in Double(generator.int(in: 0..<100)) }
        for index in walk.indices.dropFirst() { walk[index] += walk[index - 1] }
        for _ in 0..<generator.int(in: 2..<50) {
            switch generator.int(in: 0..<6) {
            case 0: columns.append(walk.map(\.bitPattern))
            case 1: columns.append(walk.map { ($0 + Double(generator.int(in: 0..<3))).bitPattern })
            case 2: columns.append(walk.map { ($0 * 4096).bitPattern })
            case 3: columns.append(walk.map { ($0 / 1000).bitPattern })
            case 4: columns.append(walk.map { $0 + 0.1 + 0.2 }.map(\.bitPattern))
            default:
                var other = floats(using: &generator)
                while other.count < count { other += other }
                columns.append(Array(other.prefix(count)))
            }
        }
        return columns
    }

    /// A histogram that a store takes, of numbers as odd as may be.
    static func histogram(using generator: inout SeededGenerator) -> NativeHistogram {
        var histogram = NativeHistogram()
        histogram.schema = Int32(generator.int(in: -4..<9))
        let isCustom = generator.oneIn(4)
        histogram.zeroThreshold = !isCustom && generator.oneIn(2) ? 0.001 : 0
        histogram.isInteger = generator.oneIn(2)
        let isInteger = histogram.isInteger
        let buckets = generator.int(in: 0..<20)
        func count() -> Double {
            isInteger ? Double(generator.int(in: 0..<1000)) : Double(bitPattern: generator.next() >> 1)
        }
        if buckets > 0 {
            histogram.positiveSpans = [NativeHistogram.Span(offset: isCustom ? 1 : -3, length: UInt32(buckets))]
        }
        histogram.positiveCounts = (0..<buckets).map { _ in count() }
        if isCustom {
            histogram.schema = NativeHistogram.customBucketsSchema
            histogram.customBounds = (0..<buckets + 2).map { Double($0) * 0.7 - 1 }
        } else {
            histogram.zeroCount = count()
        }
        histogram.count = isInteger ? histogram.positiveCounts.reduce(histogram.zeroCount, +) : count()
        histogram.sum = Double(bitPattern: generator.next())
        if isInteger, histogram.sum.isNaN { histogram.count += 1 }
        histogram.counterResetHint = generator.pick([.unknown, .reset, .notReset, .gauge])
        return histogram
    }
}
