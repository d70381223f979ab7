internal import CKernels

/// How the doubles of a column become integers exactly (after ALP, Afroozeh et al., SIGMOD 2023).
///
/// A value fits when rounding and scaling back gives the very same bits; nothing is taken on tolerance. What does not
/// fit is an exception that keeps its bits.
struct ColumnScaling: Equatable, Sendable {
    /// What was done; docs/formats/metric-block.md lists the numbers.
    enum Operation: UInt8, Sendable {
        /// The value is the integer.
        case integer = 0
        /// integer / 10^e, as text of a decimal is read.
        case divided = 1
        /// integer * 10^-e, as a program scales a unit.
        case multiplied = 2
        /// integer / 1000 / 1000, as node_exporter scales microseconds.
        case thousandths = 3
        /// As `divided`, and so many units in the last place beside it: a sum of decimals with its rounding errors.
        case corrected = 4
        /// The bit pattern is the integer.
        case bitPattern = 5
        /// XOR with the value before; no integers.
        case xor = 6
        /// Eight bytes each; no integers.
        case raw = 7

        /// Whether an exponent belongs to it.
        var hasExponent: Bool { self == .divided || self == .multiplied || self == .corrected }
        /// Whether the column is one of integers.
        var hasIntegers: Bool { self != .xor && self != .raw }
        /// Whether each value is a decimal of its integer alone, so that figures about the integers are exact.
        var isExact: Bool { self == .integer || self == .divided || self == .multiplied || self == .thousandths }
    }

    /// The largest power of ten that a double and its reciprocal hold without an error of their own.
    static let exponentMaximum = 15
    private static let powers: [Double] = (0...exponentMaximum).map { exponent in
        (0..<exponent).reduce(1.0) { power, _ in power * 10 }
    }

    var operation: Operation
    var exponent = 0

    static let integer = ColumnScaling(operation: .integer)

    /// The number of the kernel that does it.
    var kernel: Int32 {
        switch operation {
        case .multiplied: Int32(VEDETTE_MULTIPLY.rawValue)
        case .thousandths: Int32(VEDETTE_THOUSANDTHS.rawValue)
        case .bitPattern: Int32(VEDETTE_BITS.rawValue)
        default: Int32(VEDETTE_DIVIDE.rawValue)
        }
    }
    /// What the kernel divides by, or multiplies with.
    var power: Double {
        switch operation {
        case .divided, .corrected: Self.powers[exponent]
        case .multiplied: 1 / Self.powers[exponent]
        default: 1
        }
    }
    private var inverse: Double {
        switch operation {
        case .divided, .corrected, .multiplied: Self.powers[exponent]
        case .thousandths: 1e6
        default: 1
        }
    }

    /// The integers that stand for `bits`, `Int64.min` where none does; returns how many those are.
    func unscale(_ bits: UnsafeBufferPointer<UInt64>, into integers: UnsafeMutablePointer<Int64>) -> Int {
        if operation == .bitPattern {
            for index in bits.indices { integers[index] = Int64(bitPattern: bits[index]) }
            return 0
        }
        return vedette_unscale(bits.baseAddress, bits.count, kernel, power, inverse, integers)
    }

    /// The integer that stands for one value, nil when none does.
    func integer(_ bits: UInt64) -> Int64? {
        withUnsafePointer(to: bits) { pointer in
            var integer: Int64 = 0
            let misfits = unscale(UnsafeBufferPointer(start: pointer, count: 1), into: &integer)
            return misfits == 0 ? integer : nil
        }
    }

    /// Writes the bit patterns of `first + values[i] * divisor`.
    func scale(
        _ values: UnsafeBufferPointer<Int64>, first: Int64, divisor: UInt64, into bits: UnsafeMutablePointer<UInt64>
    ) {
        vedette_scale(values.baseAddress, values.count, first, divisor, kernel, power, bits)
    }

    /// Decodes the packed residuals of a whole column into bit patterns, adding up differences when `isSummed`, and
    /// `reference` unless it is empty; false when the bytes cannot be right. They must be padded. `integers`
    /// gets what is scaled, where somebody wants it.
    func decodePacked(
        _ bytes: UnsafeRawBufferPointer, count: Int, isSummed: Bool, reference: [Int64], first: Int64, divisor: UInt64,
        into bits: UnsafeMutablePointer<UInt64>, integers: UnsafeMutablePointer<Int64>? = nil
    ) -> Bool {
        reference.withUnsafeBufferPointer { reference in
            vedette_decode_packed(
                bytes.baseAddress, bytes.count, count, isSummed ? 1 : 0,
                reference.isEmpty ? nil : reference.baseAddress,
                first, divisor, kernel, power, bits, integers) == 0
        }
    }

    /// As `scale`, without vector instructions.
    func scalePortably(
        _ values: UnsafeBufferPointer<Int64>, first: Int64, divisor: UInt64, into bits: UnsafeMutablePointer<UInt64>
    ) {
        vedette_scale_portable(values.baseAddress, values.count, first, divisor, kernel, power, bits)
    }

    /// The double of one integer.
    func value(_ integer: Int64) -> Double {
        switch operation {
        case .multiplied: Double(integer) * power
        case .thousandths: Double(integer) / 1000 / 1000
        case .bitPattern: Double(bitPattern: UInt64(bitPattern: integer))
        default: Double(integer) / power
        }
    }

    /// The nearest decimal of a value, for `corrected`: integer, and units in the last place from it to the value.
    func corrected(_ bits: UInt64) -> (integer: Int64, correction: Int64)? {
        let value = Double(bitPattern: bits)
        let scaled = (value * power).rounded()
        guard scaled.magnitude < 9_007_199_254_740_992 else { return nil }
        let integer = Int64(scaled)
        let near = (Double(integer) / power).bitPattern
        // Bit patterns of one sign are ordered as their values; across zero they are not near.
        guard (near ^ bits) >> 63 == 0 else { return nil }
        let correction = Int64(bitPattern: bits &- near)
        return correction.magnitude < 1 << 24 ? (integer, correction) : nil
    }
}

extension ColumnScaling {
    /// The scaling of a single value.
    static func find(for bits: UInt64) -> ColumnScaling? {
        if integer.integer(bits) != nil { return integer }
        return exponent(.divided, for: [bits]) ?? exponent(.multiplied, for: [bits])
    }

    /// The smallest exponent of `operation` that fits all but a quarter of a sample; nil when there is none.
    static func exponent(_ operation: Operation, for sample: [UInt64]) -> ColumnScaling? {
        var scaling = ColumnScaling(operation: operation, exponent: 1)
        var misfits = 0
        for bits in sample {
            var candidate = scaling
            while candidate.exponent <= exponentMaximum, candidate.integer(bits) == nil { candidate.exponent += 1 }
            if candidate.exponent <= exponentMaximum {
                scaling = candidate
            } else {
                misfits += 1
            }
        }
        return misfits * 4 <= sample.count ? scaling : nil
    }

    /// The exponent that leaves the smallest corrections; nil when they are no smaller than the values.
    static func correctedExponent(for sample: [UInt64]) -> ColumnScaling? {
        var best: (scaling: ColumnScaling, cost: Int)?
        for exponent in [3, 6, 9, 12] {
            let scaling = ColumnScaling(operation: .corrected, exponent: exponent)
            var cost = 0
            var misfits = 0
            var previous: Int64?
            for bits in sample {
                guard let (integer, correction) = scaling.corrected(bits) else {
                    misfits += 1
                    continue
                }
                // What a sample is from the next costs as much as the correction does.
                let step = integer &- (previous ?? integer)
                cost += 128 - step.magnitude.leadingZeroBitCount - correction.magnitude.leadingZeroBitCount
                previous = integer
            }
            guard misfits * 4 <= sample.count else { continue }
            if cost < best?.cost ?? .max { best = (scaling, cost) }
        }
        return best?.scaling
    }
}
