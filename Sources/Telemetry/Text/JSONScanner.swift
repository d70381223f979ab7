/// Reads JSON (RFC 8259) value by value from a buffer it does not own, without copying and without building a tree.
///
/// The caller says what it expects: `enterObject`, `nextKey` until nil, `string`, `skipValue`, … and `finish` at the
/// end. Everything passed over is checked for form; strings may hold bytes that are not UTF-8, because log lines do.
/// Every error is a `ByteError` with the offset of the offending byte.
package struct JSONScanner {
    /// The reason where the text ends within a string.
    package static let unclosedString = "string is not closed"
    /// The reason where a backslash stands before something else than JSON knows.
    package static let unknownEscape = "unknown escape in a string"

    /// What kind of value comes next.
    package enum Kind: String, Sendable {
        case object
        case array
        case string
        case number
        case boolean
        case null
    }

    /// Deeper nesting is an error, so that hostile text cannot exhaust the stack of a caller that recurses.
    package static let depthMaximum = 128

    /// The whole text.
    package let bytes: UnsafeRawBufferPointer
    /// The offset of the next byte to look at.
    package private(set) var offset = 0
    /// How many objects and arrays are open.
    package private(set) var depth = 0
    /// Bit d says whether the container at depth d + 1 is an object.
    private var objects: UInt128 = 0
    /// Whether nothing of the innermost container was read yet.
    private var isFirst = false

    /// Reads `bytes` from the start.
    package init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// The kind of the next value, which stays unread.
    package mutating func peek() throws(ByteError) -> Kind {
        switch try significantByte("a value") {
        case UInt8(ascii: "{"): .object
        case UInt8(ascii: "["): .array
        case UInt8(ascii: "\""): .string
        case UInt8(ascii: "t"), UInt8(ascii: "f"): .boolean
        case UInt8(ascii: "n"): .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): .number
        case let byte: throw unexpected(byte, "a value")
        }
    }

    /// Enters an object; read it with `nextKey` until that returns nil.
    package mutating func enterObject() throws(ByteError) { try enter(UInt8(ascii: "{"), "an object") }

    /// Enters an array; read it with `nextElement` until that returns false.
    package mutating func enterArray() throws(ByteError) { try enter(UInt8(ascii: "["), "an array") }

    /// The next key of the innermost object, its value comes next; nil when the object ended and was left.
    package mutating func nextKey() throws(ByteError) -> JSONText? {
        guard try nextMember(closing: UInt8(ascii: "}")) else { return nil }
        let key = try string("a key")
        let colon = try significantByte("':'")
        guard colon == UInt8(ascii: ":") else { throw unexpected(colon, "':'") }
        offset += 1
        return key
    }

    /// Whether the innermost array has one more element, which comes next; false when it ended and was left.
    package mutating func nextElement() throws(ByteError) -> Bool { try nextMember(closing: UInt8(ascii: "]")) }

    /// The next value, which must be a string.
    package mutating func string() throws(ByteError) -> JSONText { try string("a string") }

    /// The next value, which must be a number, as it is written.
    package mutating func number() throws(ByteError) -> UnsafeRawBufferPointer {
        guard try peek() == .number else { throw unexpected(bytes[offset], "a number") }
        let start = offset
        try passNumber()
        return UnsafeRawBufferPointer(rebasing: bytes[start..<offset])
    }

    /// The next value, which must be a number.
    package mutating func double() throws(ByteError) -> Double {
        let start = offset
        guard let value = FloatText.parse(try number()) else {
            throw ByteError(offset: start, reason: "number is out of range")
        }
        return value
    }

    /// The next value, which must be a whole number of 64 bits.
    package mutating func integer() throws(ByteError) -> Int64 {
        let start = offset
        guard let value = IntegerText.parse(try number()) else {
            throw ByteError(offset: start, reason: "number is not a whole number of 64 bits")
        }
        return value
    }

    /// The next value, which must be true or false.
    package mutating func boolean() throws(ByteError) -> Bool {
        guard try peek() == .boolean else { throw unexpected(bytes[offset], "true or false") }
        let isTrue = bytes[offset] == UInt8(ascii: "t")
        try literal(isTrue ? "true" : "false")
        return isTrue
    }

    /// Passes over a null and returns true; returns false and reads nothing when the next value is another.
    package mutating func skipNull() throws(ByteError) -> Bool {
        guard try peek() == .null else { return false }
        try literal("null")
        return true
    }

    /// Passes over the next value, whatever it is, and returns its text.
    @discardableResult
    package mutating func skipValue() throws(ByteError) -> UnsafeRawBufferPointer {
        _ = try peek()
        let start = offset
        let outer = depth
        repeat {
            switch try peek() {
            case .object: try enterObject()
            case .array: try enterArray()
            case .string: _ = try string()
            case .number: try passNumber()
            case .boolean: _ = try boolean()
            case .null: _ = try skipNull()
            }
            while depth > outer {
                // Leaving a container is the end of a value too, so its parent is asked again.
                let hasMore = isInObject ? try nextKey() != nil : try nextElement()
                if hasMore { break }
            }
        } while depth > outer
        return UnsafeRawBufferPointer(rebasing: bytes[start..<offset])
    }

    /// Throws unless all of the text was read.
    package mutating func finish() throws(ByteError) {
        skipSpace()
        guard offset == bytes.count else { throw unexpected(bytes[offset], "the end of the text") }
    }
}

extension JSONScanner {
    private var isInObject: Bool { depth > 0 && objects >> (depth - 1) & 1 == 1 }

    private mutating func enter(_ opening: UInt8, _ what: String) throws(ByteError) {
        let byte = try significantByte(what)
        guard byte == opening else { throw unexpected(byte, what) }
        guard depth < JSONScanner.depthMaximum else {
            throw ByteError(offset: offset, reason: "nested deeper than \(JSONScanner.depthMaximum)")
        }
        offset += 1
        let bit: UInt128 = 1 << depth
        objects = opening == UInt8(ascii: "{") ? objects | bit : objects & ~bit
        depth += 1
        isFirst = true
    }

    private mutating func nextMember(closing: UInt8) throws(ByteError) -> Bool {
        let isObject = closing == UInt8(ascii: "}")
        precondition(depth > 0 && isInObject == isObject, "asked for a member of a container that was not entered")
        let byte = try significantByte(isObject ? "'}'" : "']'")
        if byte == closing {
            offset += 1
            depth -= 1
            isFirst = false
            return false
        }
        if !isFirst {
            guard byte == UInt8(ascii: ",") else { throw unexpected(byte, isObject ? "',' or '}'" : "',' or ']'") }
            offset += 1
        }
        isFirst = false
        return true
    }

    private mutating func string(_ what: String) throws(ByteError) -> JSONText {
        let quote = try significantByte(what)
        guard quote == UInt8(ascii: "\"") else { throw unexpected(quote, what) }
        let start = offset + 1
        var index = start
        var hasEscapes = false
        while true {
            index = firstSpecial(from: index)
            guard index < bytes.count else { throw ByteError(offset: offset, reason: JSONScanner.unclosedString) }
            switch bytes[index] {
            case UInt8(ascii: "\""):
                offset = index + 1
                return JSONText(raw: UnsafeRawBufferPointer(rebasing: bytes[start..<index]), hasEscapes: hasEscapes)
            case UInt8(ascii: "\\"):
                hasEscapes = true
                index = try endOfEscape(index)
            default:
                throw ByteError(offset: index, reason: "control character within a string")
            }
        }
    }

    /// The offset of the first quote, backslash or control character, eight bytes at a time (Mycroft's zero-byte test).
    private func firstSpecial(from start: Int) -> Int {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        var index = start
        while index + 8 <= bytes.count {
            let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self).littleEndian
            let quotes = word ^ (ones &* 0x22)
            let slashes = word ^ (ones &* 0x5c)
            let hits =
                ((quotes &- ones) & ~quotes | (slashes &- ones) & ~slashes | (word &- ones &* 0x20) & ~word) & highs
            if hits != 0 {
                // A borrow can mark a byte behind the first hit, never one before it.
                return index + hits.trailingZeroBitCount / 8
            }
            index += 8
        }
        while index < bytes.count {
            let byte = bytes[index]
            if byte == 0x22 || byte == 0x5c || byte < 0x20 { return index }
            index += 1
        }
        return index
    }

    private func endOfEscape(_ backslash: Int) throws(ByteError) -> Int {
        guard backslash + 1 < bytes.count else {
            throw ByteError(offset: backslash, reason: JSONScanner.unclosedString)
        }
        switch bytes[backslash + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return backslash + 2
        case UInt8(ascii: "u"):
            let end = backslash + 6
            guard end <= bytes.count, bytes[backslash + 2..<end].allSatisfy({ Hexadecimal.value(of: $0) != nil })
            else { throw ByteError(offset: backslash, reason: "\\u wants four hexadecimal digits") }
            return end
        default:
            throw ByteError(offset: backslash, reason: JSONScanner.unknownEscape)
        }
    }

    private mutating func passNumber() throws(ByteError) {
        let start = offset
        if byte(at: offset) == UInt8(ascii: "-") { offset += 1 }
        let isZero = byte(at: offset) == UInt8(ascii: "0")
        let digits = passDigits()
        guard digits > 0, !isZero || digits == 1 else { throw ByteError(offset: start, reason: "malformed number") }
        if byte(at: offset) == UInt8(ascii: ".") {
            offset += 1
            guard passDigits() > 0 else { throw ByteError(offset: start, reason: "malformed number") }
        }
        if let exponent = byte(at: offset), exponent | 0x20 == UInt8(ascii: "e") {
            offset += 1
            if let sign = byte(at: offset), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { offset += 1 }
            guard passDigits() > 0 else { throw ByteError(offset: start, reason: "malformed number") }
        }
    }

    private mutating func passDigits() -> Int {
        let start = offset
        while let digit = byte(at: offset), digit &- UInt8(ascii: "0") < 10 { offset += 1 }
        return offset - start
    }

    private func byte(at index: Int) -> UInt8? { index < bytes.count ? bytes[index] : nil }

    private mutating func literal(_ word: StaticString) throws(ByteError) {
        let length = word.utf8CodeUnitCount
        let wanted = UnsafeBufferPointer(start: word.utf8Start, count: length)
        guard length <= bytes.count - offset, bytes[offset..<offset + length].elementsEqual(wanted) else {
            throw unexpected(bytes[offset], "\(word)")
        }
        offset += length
    }

    private mutating func skipSpace() {
        while offset < bytes.count {
            let byte = bytes[offset]
            guard byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 else { return }
            offset += 1
        }
    }

    /// The next byte that is not white space; it stays unread.
    private mutating func significantByte(_ wanted: String) throws(ByteError) -> UInt8 {
        skipSpace()
        guard offset < bytes.count else {
            throw ByteError(offset: offset, reason: "text ends where \(wanted) should be")
        }
        return bytes[offset]
    }

    private func unexpected(_ byte: UInt8, _ wanted: String) -> ByteError {
        let isPrintable = (0x21..<0x7f).contains(byte)
        let found = isPrintable ? "'\(Character(Unicode.Scalar(byte)))'" : "byte 0x\(Hexadecimal.text([byte]))"
        return ByteError(offset: offset, reason: "\(found) where \(wanted) should be")
    }
}
