internal import CKernels

/// A column of doubles as integers that are multiples of a divisor from the first one on.
struct ScaledColumn {
    var scaling: ColumnScaling
    var first: Int64 = 0
    var divisor: UInt64 = 1
    /// (integer - first) / divisor; the first is 0.
    var integers: [Int64]
    /// Units in the last place from what the integer stands for to the value; empty where all are 0.
    var corrections: [Int64] = []
    /// Values that do not fit the scaling; their integers repeat the one before, which costs nothing.
    var exceptions: [ValueException] = []

    /// Values are looked at so many at a time to find their exponent.
    private static let sampleCount = 24

    /// The scaling that fits all but a few values; nil when none does.
    init?(_ bits: [UInt64]) {
        if let integers = Self.unscaled(bits, .integer) {
            self.init(bits, .integer, integers)
            return
        }
        let step = max(1, bits.count / Self.sampleCount)
        let sample = stride(from: 0, to: bits.count, by: step).map { bits[$0] }
        for operation in [ColumnScaling.Operation.divided, .multiplied, .thousandths] {
            let found =
                operation == .thousandths
                ? ColumnScaling(operation: operation) : ColumnScaling.exponent(operation, for: sample)
            guard let scaling = found, let integers = Self.unscaled(bits, scaling) else { continue }
            self.init(bits, scaling, integers)
            return
        }
        return nil
    }

    /// Decimals with rounding errors kept beside them; nil where that does not fit.
    init?(correcting bits: [UInt64]) {
        let step = max(1, bits.count / Self.sampleCount)
        let sample = stride(from: 0, to: bits.count, by: step).map { bits[$0] }
        guard let scaling = ColumnScaling.correctedExponent(for: sample) else { return nil }
        var integers = [Int64](repeating: .min, count: bits.count)
        var corrections = [Int64](repeating: 0, count: bits.count)
        var misfits = 0
        for (index, value) in bits.enumerated() {
            if let (integer, correction) = scaling.corrected(value) {
                (integers[index], corrections[index]) = (integer, correction)
            } else {
                misfits += 1
            }
        }
        guard misfits * 8 <= bits.count else { return nil }
        self.init(bits, scaling, integers)
        self.corrections = corrections
    }

    /// The bit patterns themselves as integers.
    init(patterns bits: [UInt64]) {
        self.init(bits, ColumnScaling(operation: .bitPattern), bits.map { Int64(bitPattern: $0) })
    }

    /// The integers of all values, `Int64.min` where one does not fit; nil when more than an eighth do not.
    private static func unscaled(_ bits: [UInt64], _ scaling: ColumnScaling) -> [Int64]? {
        var misfits = 0
        let integers = [Int64](unsafeUninitializedCapacity: bits.count) { integers, initialized in
            guard let start = integers.baseAddress else { return }
            misfits = bits.withUnsafeBufferPointer { scaling.unscale($0, into: start) }
            initialized = bits.count
        }
        return misfits * 8 <= bits.count ? integers : nil
    }

    private init(_ bits: [UInt64], _ scaling: ColumnScaling, _ raw: [Int64]) {
        self.scaling = scaling
        integers = raw
        if scaling.operation != .bitPattern { setExceptionsAside(bits) }
        first = integers.first ?? 0
        divide()
    }

    private mutating func setExceptionsAside(_ bits: [UInt64]) {
        guard integers.contains(.min) else { return }
        var previous = integers.first { $0 != .min } ?? 0
        for index in integers.indices {
            guard integers[index] == .min else {
                previous = integers[index]
                continue
            }
            integers[index] = previous
            if let last = exceptions.last, last.range.upperBound == index, last.bits == bits[index] {
                exceptions[exceptions.count - 1].range = last.range.lowerBound..<(index + 1)
            } else {
                exceptions.append(ValueException(range: index..<(index + 1), bits: bits[index]))
            }
        }
    }

    /// Takes the first value off and the greatest common divisor out.
    private mutating func divide() {
        let first = first
        integers.withUnsafeMutableBufferPointer { integers in
            let all = vedette_or_of_differences(integers.baseAddress, integers.count)
            guard all != 0 else { return integers.update(repeating: 0) }
            // Powers of two are found and taken out without dividing; wrapping differences have no divisor.
            let isSmall = scaling.operation != .bitPattern
            let shift = isSmall ? all.trailingZeroBitCount : 0
            var odd: UInt64 = isSmall ? 0 : 1
            for index in integers.indices where odd != 1 {
                let value = (integers[index] &- first).magnitude >> UInt64(shift)
                if value != 0, odd == 0 || value % odd != 0 { odd = Self.greatestCommonDivisor(value, odd) }
            }
            let divisor = Int64(max(odd, 1)) << Int64(shift)
            self.divisor = UInt64(divisor)
            if odd <= 1 {
                for index in integers.indices { integers[index] = (integers[index] &- first) >> Int64(shift) }
            } else {
                for index in integers.indices { integers[index] = (integers[index] &- first) / divisor }
            }
        }
    }

    private static func greatestCommonDivisor(_ first: UInt64, _ second: UInt64) -> UInt64 {
        var (a, b) = (first, second)
        while b != 0 { (a, b) = (b, a % b) }
        return a
    }
}
