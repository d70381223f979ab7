/// Walks the text the kernel prints (words, decimal numbers, lines) in place, without copying.
struct FieldScanner {
    private let bytes: UnsafeRawBufferPointer
    private(set) var offset = 0

    /// Scans `bytes` from the start.
    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// Whether nothing is left.
    var isAtEnd: Bool { offset >= bytes.count }

    /// The next word of the current line; nil at the line's end.
    mutating func word() -> UnsafeRawBufferPointer? {
        skipSpaces()
        let start = offset
        while offset < bytes.count, !Self.isSpace(bytes[offset]), bytes[offset] != Self.newline { offset += 1 }
        return offset > start ? UnsafeRawBufferPointer(rebasing: bytes[start..<offset]) : nil
    }

    /// The next word as text; nil at the line's end.
    mutating func text() -> String? { word().map { String(decoding: $0, as: UTF8.self) } }

    /// The next word as a number; nil when it is none. Digits beyond 64 bits saturate.
    mutating func unsigned() -> UInt64? {
        guard let word = word() else { return nil }
        return Self.unsigned(word)
    }

    /// The next word as a decimal fraction such as `12.34`; nil when it is none.
    mutating func decimal() -> Double? {
        guard let word = word() else { return nil }
        return Self.decimal(word)
    }

    /// Goes to the start of the next line; false when there is none.
    mutating func nextLine() -> Bool {
        while offset < bytes.count {
            offset += 1
            if bytes[offset - 1] == Self.newline { return offset < bytes.count }
        }
        return false
    }

    private mutating func skipSpaces() {
        while offset < bytes.count, Self.isSpace(bytes[offset]) { offset += 1 }
    }

    private static let newline = UInt8(ascii: "\n")

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// A whole word as a number.
    static func unsigned(_ word: UnsafeRawBufferPointer) -> UInt64? {
        guard !word.isEmpty else { return nil }
        var value: UInt64 = 0
        for byte in word {
            guard byte >= 0x30, byte <= 0x39 else { return nil }
            let (product, isOver) = value.multipliedReportingOverflow(by: 10)
            let (sum, isOverToo) = product.addingReportingOverflow(UInt64(byte - 0x30))
            value = isOver || isOverToo ? .max : sum
        }
        return value
    }

    /// A whole word of lower-case hexadecimal digits as a number; nil when it is none or has more than 16 digits.
    static func hexadecimal(_ word: UnsafeRawBufferPointer) -> UInt64? {
        guard !word.isEmpty, word.count <= 16 else { return nil }
        var value: UInt64 = 0
        for byte in word {
            switch byte {
            case 0x30...0x39: value = value << 4 | UInt64(byte - 0x30)
            case 0x61...0x66: value = value << 4 | UInt64(byte - 0x57)
            default: return nil
            }
        }
        return value
    }

    /// A whole word as a decimal fraction.
    static func decimal(_ word: UnsafeRawBufferPointer) -> Double? { Double(String(decoding: word, as: UTF8.self)) }
}

/// Picks the values of known keys out of a file of `key value` lines, such as memory.stat.
///
/// The kernel prints keys in a fixed order, so the key after the last one found is tried first.
struct KeyedFields {
    private let keys: [[UInt8]]
    private(set) var values: [UInt64]
    /// One bit per key that was found in the last parse.
    private(set) var found: UInt64 = 0

    /// Looks for `keys`, at most 64, best in the order of the file.
    init(_ keys: [String]) {
        self.keys = keys.map { Array($0.utf8) }
        values = Array(repeating: 0, count: keys.count)
    }

    /// Reads `text`; afterwards `values[i]` belongs to key i, 0 when it was absent.
    mutating func parse(_ text: UnsafeRawBufferPointer) {
        found = 0
        for index in values.indices { values[index] = 0 }
        var expected = 0
        var scanner = FieldScanner(text)
        repeat {
            guard let key = scanner.word() else { continue }
            guard let index = index(of: key, expecting: expected), let value = scanner.unsigned() else { continue }
            values[index] = value
            found |= 1 << UInt64(index)
            expected = index + 1
        } while scanner.nextLine()
    }

    /// Whether key `index` was in the text.
    func has(_ index: Int) -> Bool { found & (1 << UInt64(index)) != 0 }

    private func index(of word: UnsafeRawBufferPointer, expecting expected: Int) -> Int? {
        if expected < keys.count, equals(keys[expected], word) { return expected }
        return keys.indices.first { equals(keys[$0], word) }
    }

    private func equals(_ key: [UInt8], _ word: UnsafeRawBufferPointer) -> Bool {
        key.count == word.count && key.elementsEqual(word)
    }
}
