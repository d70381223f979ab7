internal import Telemetry

/// Columns of integers: constant, a few as they are, or the differences to the smallest value or to the value before,
/// split into planes of one byte each, every plane compressed by itself where that pays.
enum IntegerCoding {
    enum Form: UInt8 {
        case constant = 0
        case few = 1
        case offsets = 2
        case deltas = 3
        case dictionary = 4
    }

    /// Up to this many values are written as they are.
    static let fewMaximum = 16
    static let dictionaryMaximum = 256
    /// How many values decide about a form.
    private static let sampleMaximum = 2048

    /// Appends `values`; their number is known to the reader.
    static func encode(_ values: [Int64], to writer: inout ColumnWriter) {
        guard let first = values.first else { return }
        var (low, high) = (first, first)
        for value in values {
            if value < low { low = value }
            if value > high { high = value }
        }
        if low == high {
            writer.descriptions.put(Form.constant.rawValue)
            return writer.descriptions.putSigned(low)
        }
        if values.count <= fewMaximum {
            writer.descriptions.put(Form.few.rawValue)
            for value in values { writer.descriptions.putSigned(value) }
            return
        }
        encodeMany(values, low, high, to: &writer)
    }

    private static func encodeMany(_ values: [Int64], _ low: Int64, _ high: Int64, to writer: inout ColumnWriter) {
        var deltas = values
        var (deltaLow, deltaHigh) = (Int64.max, Int64.min)
        var previous = values[0]
        values.withUnsafeBufferPointer { values in
            deltas.withUnsafeMutableBufferPointer { deltas in
                deltas[0] = 0
                for index in 1..<values.count {
                    let delta = values[index] &- previous
                    previous = values[index]
                    deltas[index] = delta
                    if delta < deltaLow { deltaLow = delta }
                    if delta > deltaHigh { deltaHigh = delta }
                }
            }
        }
        deltas[0] = deltaLow
        let offsetBits = bits(values, above: low, high: high)
        let deltaBits = bits(deltas, above: deltaLow, high: deltaHigh)
        if planes(high &- low) > 1, let (distinct, indexes) = dictionary(values) {
            let cost = Double(distinct.count * planes(high &- low) * 8) + bits(indexes, above: 0, high: 255)
            if cost < min(offsetBits, deltaBits) {
                writer.descriptions.put(Form.dictionary.rawValue)
                writer.descriptions.putVarint(UInt64(distinct.count))
                for value in distinct { writer.descriptions.putSigned(value &- low) }
                writer.descriptions.putSigned(low)
                return putPlanes(indexes, above: 0, count: 1, to: &writer)
            }
        }
        if deltaBits < offsetBits {
            writer.descriptions.put(Form.deltas.rawValue)
            writer.descriptions.putSigned(values[0])
            writer.descriptions.putSigned(deltaLow)
            let count = planes(deltaHigh &- deltaLow)
            writer.descriptions.put(UInt8(count))
            putPlanes(deltas, above: deltaLow, count: count, to: &writer)
        } else {
            writer.descriptions.put(Form.offsets.rawValue)
            writer.descriptions.putSigned(low)
            writer.descriptions.putSigned(high)
            putPlanes(values, above: low, count: planes(high &- low), to: &writer)
        }
    }

    /// How many bytes the values up to `span` above the smallest take.
    static func planes(_ span: Int64) -> Int { max(1, (71 - UInt64(bitPattern: span).leadingZeroBitCount) / 8) }

    /// About how many bits the planes of `values` take after entropy coding.
    private static func bits(_ values: [Int64], above low: Int64, high: Int64) -> Double {
        let count = planes(high &- low)
        // Some runs of neighbours rather than single values: they stand for the column's course too.
        let step = max(1, values.count / sampleMaximum)
        var total = 0.0
        values.withUnsafeBufferPointer { values in
            for plane in 0..<count {
                var histogram = InlineHistogram()
                let shift = UInt64(plane * 8)
                var index = 0
                while index < values.count {
                    histogram.add(UInt8(truncatingIfNeeded: UInt64(bitPattern: values[index] &- low) >> shift))
                    index += step
                }
                total += histogram.bitsPerByte
            }
        }
        return total * Double(values.count)
    }

    /// The distinct values, rising, and for each value its place; nil when there are too many.
    private static func dictionary(_ values: [Int64]) -> (distinct: [Int64], indexes: [Int64])? {
        var distinct = Set<Int64>()
        let step = max(1, values.count / 1024)
        var index = 0
        while index < values.count {
            distinct.insert(values[index])
            if distinct.count > dictionaryMaximum { return nil }
            index += step
        }
        for value in values where !distinct.contains(value) {
            distinct.insert(value)
            if distinct.count > dictionaryMaximum { return nil }
        }
        let sorted = distinct.sorted()
        var places: [Int64: Int64] = [:]
        for (place, value) in sorted.enumerated() { places[value] = Int64(place) }
        return (sorted, values.map { places[$0] ?? 0 })
    }

    private static func putPlanes(_ values: [Int64], above low: Int64, count: Int, to writer: inout ColumnWriter) {
        for plane in 0..<count {
            let shift = UInt64(plane * 8)
            let bytes = [UInt8](unsafeUninitializedCapacity: values.count) { target, written in
                values.withUnsafeBufferPointer { values in
                    for index in 0..<values.count {
                        target[index] = UInt8(truncatingIfNeeded: UInt64(bitPattern: values[index] &- low) >> shift)
                    }
                }
                written = values.count
            }
            var histogram = InlineHistogram()
            let step = max(1, bytes.count / 4096)
            var index = 0
            while index < bytes.count {
                histogram.add(bytes[index])
                index += step
            }
            let isRandom = bytes.count >= 1024 && histogram.bitsPerByte > 7.85 - 200 / Double(min(bytes.count, 4096))
            bytes.withUnsafeBytes { writer.put($0, hasLength: false, isRandom: isRandom) }
        }
    }
}

/// How often each byte occurs, for estimates of entropy.
struct InlineHistogram {
    private var counts = [UInt32](repeating: 0, count: 256)
    private var total = 0

    /// Counts a byte.
    @inline(__always)
    mutating func add(_ byte: UInt8) {
        counts[Int(byte)] &+= 1
        total &+= 1
    }

    /// The entropy of order 0.
    var bitsPerByte: Double {
        var sum = 0.0
        for count in counts where count > 0 {
            sum += Double(count) * InlineHistogram.log2(Double(total) / Double(count))
        }
        return total == 0 ? 0 : sum / Double(total)
    }

    /// Good to a hundredth: exponent and a quadratic of the mantissa.
    private static func log2(_ value: Double) -> Double {
        let mantissa = value.significand
        return Double(value.exponent) + (mantissa - 1) * (1.4142 - 0.4142 * (mantissa - 1)) * 1.0
            + 0.0076 * (mantissa - 1) * (2 - mantissa)
    }
}
