/// Whole numbers in decimal text, straight from bytes.
package enum IntegerText {
    /// Appends the decimal digits of `value`.
    package static func append(_ value: UInt64, to target: inout [UInt8]) {
        if value < 10 { return target.append(UInt8(ascii: "0") + UInt8(value)) }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var place = 20
            var rest = value
            while rest > 0 {
                let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
                place -= 1
                digits[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: digit)
                rest = quotient
            }
            target.append(contentsOf: UnsafeMutableBufferPointer(rebasing: digits[place...]))
        }
    }

    /// The value of an optional sign and digits and nothing else; nil when it is no such text or leaves 64 bits.
    package static func parse(_ bytes: UnsafeRawBufferPointer) -> Int64? {
        var index = 0
        let isNegative = bytes.first == UInt8(ascii: "-")
        if isNegative || bytes.first == UInt8(ascii: "+") { index = 1 }
        guard index < bytes.count else { return nil }
        var value: Int64 = 0
        while index < bytes.count {
            let digit = bytes[index] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            // Counted downward, because the lowest number has no positive partner.
            let (product, overflows) = value.multipliedReportingOverflow(by: 10)
            let (sum, underflows) = product.subtractingReportingOverflow(Int64(digit))
            if overflows || underflows { return nil }
            value = sum
            index += 1
        }
        if isNegative { return value }
        return value == .min ? nil : -value
    }
}
