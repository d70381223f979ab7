internal import Telemetry

/// The restored values of one column.
enum ColumnValues: Sendable {
    case constant([UInt8])
    case integers(IntegerColumn)
    case fixed(width: Int, IntegerColumn)
    case decimals(scales: IntegerColumn, mantissas: IntegerColumn)
    case addresses(IntegerColumn)
    case hexadecimal(width: Int, isUpper: Bool, IntegerColumn)
    case packed(width: Int, isUpper: Bool, hasHyphens: Bool, [UInt8])
    /// Units since 1970, not relative any more.
    case timestamps(TimestampForm, TimestampColumn)
    case dictionary(Texts, IntegerColumn)
    case templated(TemplateValues)
    case raw(Texts)

    private static let lowerDigits = Array("0123456789abcdef".utf8)
    private static let upperDigits = Array("0123456789ABCDEF".utf8)

    /// Appends the text of the value at `index`.
    func append(_ index: Int, to text: inout [UInt8]) {
        switch self {
        case .constant(let bytes): text.append(contentsOf: bytes)
        case .integers(let values): ColumnValues.appendInteger(values[index], to: &text)
        case .fixed(let width, let values): TimestampForm.append(values[index], width: width, to: &text)
        case .decimals(let scales, let mantissas):
            ColumnValues.appendDecimal(mantissas[index], Int(scales[index]), to: &text)
        case .addresses(let values):
            let address = values[index]
            for shift in [24, 16, 8, 0] as [Int64] {
                ColumnValues.appendInteger(address >> shift & 255, to: &text)
                if shift > 0 { text.append(UInt8(ascii: ".")) }
            }
        case .hexadecimal(let width, let isUpper, let values):
            let digits = isUpper ? ColumnValues.upperDigits : ColumnValues.lowerDigits
            let value = UInt64(bitPattern: values[index])
            var shift = width * 4 - 4
            while shift >= 0 {
                text.append(digits[Int(value >> UInt64(shift) & 15)])
                shift -= 4
            }
        case .packed(let width, let isUpper, let hasHyphens, let bytes):
            let digits = isUpper ? ColumnValues.upperDigits : ColumnValues.lowerDigits
            let start = index * ((width + 1) / 2)
            for digit in 0..<width {
                if hasHyphens, digit == 8 || digit == 12 || digit == 16 || digit == 20 {
                    text.append(UInt8(ascii: "-"))
                }
                let byte = bytes[start + digit / 2]
                text.append(digits[Int(digit & 1 == 0 ? byte >> 4 : byte & 15)])
            }
        case .timestamps(let form, let values): form.append(values[index], to: &text)
        case .dictionary(let texts, let indexes): text.append(contentsOf: texts[Int(indexes[index])])
        case .templated(let values): values.append(index, to: &text)
        case .raw(let texts): text.append(contentsOf: texts[index])
        }
    }

    /// Appends a decimal integer.
    @inline(__always)
    static func appendInteger(_ value: Int64, to text: inout [UInt8]) {
        if value >= 0, value < 10 { return text.append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value)) }
        var rest = value.magnitude
        if value < 0 { text.append(UInt8(ascii: "-")) }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var start = 20
            repeat {
                start -= 1
                digits[start] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            text.append(contentsOf: UnsafeBufferPointer(rebasing: digits[start..<20]))
        }
    }

    /// The digits of a decimal before and behind its point. Most have few behind it: a division by a number that is
    /// known here is a multiplication.
    @inline(__always)
    static func split(_ mantissa: Int64, _ scale: Int) -> (whole: Int64, fraction: Int64) {
        switch scale {
        case 1: split(mantissa, by: 10)
        case 2: split(mantissa, by: 100)
        case 3: split(mantissa, by: 1000)
        case 6: split(mantissa, by: 1_000_000)
        default: split(mantissa, by: TimestampForm.powers[scale])
        }
    }

    @inline(__always)
    private static func split(_ mantissa: Int64, by power: Int64) -> (whole: Int64, fraction: Int64) {
        let whole = mantissa / power
        return (whole, mantissa &- whole &* power)
    }

    private static func appendDecimal(_ mantissa: Int64, _ scale: Int, to text: inout [UInt8]) {
        if mantissa < 0 { text.append(UInt8(ascii: "-")) }
        let digits = Int64(clamping: mantissa.magnitude)
        let power = TimestampForm.powers[min(max(scale, 0), 18)]
        appendInteger(digits / power, to: &text)
        text.append(UInt8(ascii: "."))
        TimestampForm.append(digits % power, width: min(max(scale, 0), 18), to: &text)
    }
}

/// Texts back to back.
struct Texts: Sendable {
    let ends: [Int]
    let bytes: [UInt8]

    /// Text `index`.
    subscript(index: Int) -> ArraySlice<UInt8> { bytes[(index == 0 ? 0 : ends[index - 1])..<ends[index]] }

    /// Hands out the bytes of text `index`.
    @inline(__always)
    func withText<Value>(_ index: Int, _ body: (UnsafeRawBufferPointer) throws -> Value) rethrows -> Value {
        try bytes.withUnsafeBytes {
            try body(UnsafeRawBufferPointer(rebasing: $0[(index == 0 ? 0 : ends[index - 1])..<ends[index]]))
        }
    }

    /// The number of texts.
    var count: Int { ends.count }

    /// Restores texts.
    init(_ stored: StoredTexts, _ source: BlockSource) throws {
        bytes = try source.bytes(stored.bytes)
        var ends = try stored.lengths.values(source).map { Int($0) }
        var end = 0
        for index in ends.indices {
            guard ends[index] >= 0, ends[index] <= bytes.count - end else {
                throw FormatError("the lengths of texts are wrong")
            }
            end += ends[index]
            ends[index] = end
        }
        guard end == bytes.count else { throw FormatError("the lengths of texts are wrong") }
        self.ends = ends
    }
}
