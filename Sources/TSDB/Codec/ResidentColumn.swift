internal import CKernels

/// A column as it is kept in memory to be read again: the code of its residuals is undone, references are resolved, and
/// what is left are integers of one, two, four or eight bytes, which become doubles at several a nanosecond.
///
/// Read from any row on; only a column of differences adds up what lies before. The bits are those of the page.
final class ResidentColumn: Sendable {
    /// The number of values.
    let count: Int
    private let bytes: [UInt8]
    private let width: UInt32
    private let isSummed: Bool
    private let isExact: Bool
    private let first: Int64
    private let divisor: UInt64
    private let kernel: Int32
    private let power: Double
    /// Units in the last place to be added, of `correctionWidth` bytes each; 0 for none.
    private let corrections: [UInt8]
    private let correctionWidth: UInt32
    private let exceptions: [ValueException]

    /// A column of integers that were read from its body.
    init(_ column: FloatColumn, _ integers: FloatColumn.Integers) {
        count = integers.values.count
        var offsetWidth: UInt32 = 8
        var differenceWidth: UInt32 = 8
        var reach: UInt64 = 0
        vedette_resident_widths(integers.values, count, &offsetWidth, &differenceWidth, &reach)
        isSummed = differenceWidth < offsetWidth
        width = min(offsetWidth, differenceWidth)
        bytes = Self.stored(integers.values, isSummed: isSummed, width: width)
        (first, divisor) = (column.first, column.divisor)
        (kernel, power) = (column.scaling.kernel, column.scaling.power)
        let productBits = (64 - reach.leadingZeroBitCount) + (64 - divisor.leadingZeroBitCount)
        isExact = productBits <= 52 && reach < 1 << 51 && divisor < 1 << 51 && first.magnitude <= 1 << 52
        exceptions = integers.exceptions
        guard !integers.corrections.isEmpty else {
            (corrections, correctionWidth) = ([], 0)
            return
        }
        var ignored: UInt32 = 8
        var correctionBytes: UInt32 = 8
        vedette_resident_widths(integers.corrections, count, &correctionBytes, &ignored, &reach)
        correctionWidth = correctionBytes
        corrections = Self.stored(integers.corrections, isSummed: false, width: correctionBytes)
    }

    /// A column without integers.
    init(bits: [UInt64]) {
        count = bits.count
        width = 8
        bytes = Self.stored(bits.map { Int64(bitPattern: $0) }, isSummed: false, width: 8)
        (isSummed, isExact, first, divisor) = (false, false, 0, 1)
        (kernel, power) = (Int32(VEDETTE_BITS.rawValue), 1)
        (corrections, correctionWidth, exceptions) = ([], 0, [])
    }

    /// The memory held.
    var memoryBytes: Int {
        160 + bytes.count + corrections.count + exceptions.count * MemoryLayout<ValueException>.stride
    }

    private static func stored(_ values: [Int64], isSummed: Bool, width: UInt32) -> [UInt8] {
        let count = values.count * Int(width)
        return [UInt8](unsafeUninitializedCapacity: count + Int(VEDETTE_RESIDENT_PADDING)) { bytes, initialized in
            bytes.initialize(repeating: 0)
            vedette_resident_store(values, values.count, isSummed ? 1 : 0, width, bytes.baseAddress)
            initialized = count + Int(VEDETTE_RESIDENT_PADDING)
        }
    }

    private func withColumn<Value>(_ body: (UnsafePointer<vedette_resident>) -> Value) -> Value {
        bytes.withUnsafeBufferPointer { bytes in
            let column = vedette_resident(
                bytes: bytes.baseAddress, width: width, is_summed: isSummed ? 1 : 0, is_exact: isExact ? 1 : 0,
                first: first, divisor: divisor, scaling: kernel, power: power)
            return withUnsafePointer(to: column, body)
        }
    }

    /// Writes the bit patterns of some of the values.
    func read(_ range: Range<Int>, into bits: UnsafeMutablePointer<UInt64>) {
        withColumn { vedette_resident_decode($0, range.lowerBound, range.upperBound, bits) }
        if correctionWidth > 0 {
            vedette_resident_add(corrections, correctionWidth, range.lowerBound, range.upperBound, bits)
        }
        for exception in exceptions {
            for index in exception.range.clamped(to: range) { bits[index - range.lowerBound] = exception.bits }
        }
    }

    /// As `read`, without vector instructions, for comparison.
    func readPortably(_ range: Range<Int>, into bits: UnsafeMutablePointer<UInt64>) {
        withColumn { vedette_resident_decode_portable($0, range.lowerBound, range.upperBound, bits) }
        if correctionWidth > 0 {
            vedette_resident_add(corrections, correctionWidth, range.lowerBound, range.upperBound, bits)
        }
        for exception in exceptions {
            for index in exception.range.clamped(to: range) { bits[index - range.lowerBound] = exception.bits }
        }
    }

    /// All bit patterns.
    var bits: [UInt64] {
        [UInt64](unsafeUninitializedCapacity: count) { bits, initialized in
            if let start = bits.baseAddress { read(0..<count, into: start) }
            initialized = count
        }
    }

    /// The integers as multiples of the divisor above the first, which other columns are differences to.
    var integers: [Int64] {
        [Int64](unsafeUninitializedCapacity: count) { values, initialized in
            withColumn { vedette_resident_integers($0, count, values.baseAddress) }
            initialized = count
        }
    }
}
