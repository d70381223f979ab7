/// Whole numbers in decimal text, straight from bytes.
package enum IntegerText {
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
