/// A quantity as Kubernetes writes it: `100m`, `1.5`, `128Mi`, `4e3` (apimachinery, `pkg/api/resource/quantity.go`).
struct ResourceQuantity: Equatable, Sendable {
    /// In thousandths of the unit, rounded up as Kubernetes does.
    let thousandths: Int64

    /// The quantity rounded up to thousandths: for processors.
    var value: Double { Double(thousandths) / 1_000 }
    /// The quantity rounded up to a whole number: for bytes and things that are counted.
    var wholeValue: Double { Double(thousandths / 1_000 + (thousandths % 1_000 > 0 ? 1 : 0)) }

    /// More digits than a number of Kubernetes has.
    private static let digitsMaximum = 24

    /// Reads a quantity; nil when it is none. What is beyond 64 bits of thousandths is that bound.
    init?(_ text: String) {
        var rest = Substring(text)
        let isNegative = rest.first == "-"
        if isNegative || rest.first == "+" { rest = rest.dropFirst() }
        var mantissa: Int128 = 0
        var exponent = 0
        var digits = 0
        var isBehindPoint = false
        while let byte = rest.utf8.first {
            if byte == UInt8(ascii: "."), !isBehindPoint {
                isBehindPoint = true
            } else if (0x30...0x39).contains(byte) {
                digits += 1
                guard digits <= Self.digitsMaximum else { return nil }
                mantissa = mantissa * 10 + Int128(byte - 0x30)
                if isBehindPoint { exponent -= 1 }
            } else {
                break
            }
            rest = rest.dropFirst()
        }
        guard digits > 0, let scale = Self.scale(String(rest)) else { return nil }
        exponent += scale.decimal + 3
        guard let scaled = Self.scaled(mantissa, decimal: exponent, binary: scale.binary) else {
            thousandths = isNegative ? .min : .max
            return
        }
        thousandths = Int64(clamping: isNegative ? -scaled : scaled)
    }

    /// What a suffix multiplies with: a power of ten and one of two; nil for a suffix that is none.
    private static func scale(_ suffix: String) -> (decimal: Int, binary: Int)? {
        switch suffix {
        case "": return (0, 0)
        case "n": return (-9, 0)
        case "u": return (-6, 0)
        case "m": return (-3, 0)
        case "k": return (3, 0)
        case "M": return (6, 0)
        case "G": return (9, 0)
        case "T": return (12, 0)
        case "P": return (15, 0)
        case "E": return (18, 0)
        case "Ki": return (0, 10)
        case "Mi": return (0, 20)
        case "Gi": return (0, 30)
        case "Ti": return (0, 40)
        case "Pi": return (0, 50)
        case "Ei": return (0, 60)
        default:
            guard suffix.first == "e" || suffix.first == "E", let power = Int(suffix.dropFirst()), abs(power) <= 40
            else { return nil }
            return (power, 0)
        }
    }

    /// A mantissa scaled and rounded up; nil where it does not fit.
    private static func scaled(_ mantissa: Int128, decimal: Int, binary: Int) -> Int128? {
        var value = mantissa
        for _ in 0..<max(0, decimal) {
            let (product, isOver) = value.multipliedReportingOverflow(by: 10)
            if isOver { return nil }
            value = product
        }
        let (product, isOver) = value.multipliedReportingOverflow(by: 1 << Int128(binary))
        if isOver { return nil }
        value = product
        var isCut = false
        for _ in 0..<max(0, -decimal) {
            isCut = isCut || value % 10 != 0
            value /= 10
        }
        return isCut ? value + 1 : value
    }
}
