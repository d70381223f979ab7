/// Reads logfmt (`level=info msg="it works" flag`) pair by pair from a buffer it does not own, as Loki's decoder does.
package struct LogfmtScanner {
    /// A value as it stands in the line.
    package struct Value {
        /// Without its quotes, escapes not yet resolved.
        package let raw: UnsafeRawBufferPointer
        /// Whether `raw` holds escapes.
        package let hasEscapes: Bool

        /// The value's bytes, escapes resolved.
        package var bytes: [UInt8] { JSONText(raw: raw, hasEscapes: hasEscapes).unescaped }

        /// The value as a string; bytes that are not UTF-8 become U+FFFD.
        package var string: String { JSONText(raw: raw, hasEscapes: hasEscapes).string }
    }

    /// The whole line.
    package let bytes: UnsafeRawBufferPointer
    /// The offset of the next byte to look at.
    package private(set) var offset = 0

    /// Reads `bytes` from the start.
    package init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// The next pair; nil at the end. A key without "=" has an empty value. After an error the scanner stands behind
    /// the broken pair, so that a lenient caller goes on.
    package mutating func next() throws(ByteError) -> (key: UnsafeRawBufferPointer, value: Value)? {
        while offset < bytes.count, bytes[offset] <= 0x20 { offset += 1 }
        guard offset < bytes.count else { return nil }
        let start = offset
        while offset < bytes.count, bytes[offset] > 0x20, bytes[offset] != UInt8(ascii: "=") {
            if bytes[offset] == UInt8(ascii: "\"") { throw broken(offset, "unexpected '\"'") }
            offset += 1
        }
        let key = UnsafeRawBufferPointer(rebasing: bytes[start..<offset])
        guard offset < bytes.count, bytes[offset] == UInt8(ascii: "=") else {
            return (key, Value(raw: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset]), hasEscapes: false))
        }
        if key.isEmpty { throw broken(offset, "unexpected '='") }
        offset += 1
        if offset < bytes.count, bytes[offset] == UInt8(ascii: "\"") { return (key, try quotedValue()) }
        let valueStart = offset
        while offset < bytes.count, bytes[offset] > 0x20 {
            if bytes[offset] == UInt8(ascii: "=") || bytes[offset] == UInt8(ascii: "\"") {
                throw broken(offset, "unexpected '\(Character(Unicode.Scalar(bytes[offset])))'")
            }
            offset += 1
        }
        return (key, Value(raw: UnsafeRawBufferPointer(rebasing: bytes[valueStart..<offset]), hasEscapes: false))
    }

    private mutating func quotedValue() throws(ByteError) -> Value {
        let opening = offset
        offset += 1
        var hasEscapes = false
        while offset < bytes.count, bytes[offset] != UInt8(ascii: "\"") {
            if bytes[offset] == UInt8(ascii: "\\") {
                hasEscapes = true
                guard LogfmtScanner.isEscape(bytes, at: offset) else { throw broken(offset, "invalid quoted value") }
                offset += 1
            }
            offset += 1
        }
        guard offset < bytes.count else {
            offset = bytes.count
            throw ByteError(offset: bytes.count, reason: "unterminated quoted value")
        }
        defer { offset += 1 }
        return Value(raw: UnsafeRawBufferPointer(rebasing: bytes[opening + 1..<offset]), hasEscapes: hasEscapes)
    }

    private static func isEscape(_ bytes: UnsafeRawBufferPointer, at backslash: Int) -> Bool {
        guard backslash + 1 < bytes.count else { return false }
        switch bytes[backslash + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "'"), UInt8(ascii: "b"),
            UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return true
        case UInt8(ascii: "u"):
            let end = backslash + 6
            return end <= bytes.count && bytes[backslash + 2..<end].allSatisfy { Hexadecimal.value(of: $0) != nil }
        default: return false
        }
    }

    /// An error at `place`; moves on to the next white space.
    private mutating func broken(_ place: Int, _ reason: String) -> ByteError {
        while offset < bytes.count, bytes[offset] > 0x20 { offset += 1 }
        return ByteError(offset: place, reason: reason)
    }
}
