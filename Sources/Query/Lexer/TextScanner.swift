/// Walks over the bytes of a query: what PromQL's and LogQL's lexers have in common.
struct TextScanner {
    let bytes: [UInt8]
    /// The next byte to read.
    var position = 0
    /// Where the current word began.
    var start = 0

    init(_ text: String) {
        bytes = Array(text.utf8)
    }

    /// The byte `ahead` of the next one, nil behind the end.
    func peek(_ ahead: Int = 0) -> UInt8? {
        let index = position + ahead
        return index < bytes.count ? bytes[index] : nil
    }

    /// Takes the next byte if it satisfies `condition`.
    mutating func accept(_ condition: (UInt8) -> Bool) -> Bool {
        guard let byte = peek(), condition(byte) else { return false }
        position += 1
        return true
    }

    /// Takes the next byte if it is one of `set`.
    mutating func accept(_ set: StaticString) -> Bool {
        accept { byte in set.withUTF8Buffer { $0.contains(byte) } }
    }

    /// Takes bytes as long as they satisfy `condition`.
    mutating func acceptRun(_ condition: (UInt8) -> Bool) {
        while let byte = peek(), condition(byte) { position += 1 }
    }

    /// Whether the next bytes are `text`.
    func isAt(_ text: StaticString) -> Bool {
        text.withUTF8Buffer { bytes[position...].starts(with: $0) }
    }

    /// The text of the current word.
    var word: String { String(decoding: bytes[start..<position], as: UTF8.self) }

    /// The span of the current word.
    var span: SourceSpan { SourceSpan(start: start, end: position) }

    /// Decodes the character at `index`; nil at the end.
    func character(at index: Int) -> Unicode.Scalar? {
        guard index < bytes.count else { return nil }
        var decoder = UTF8()
        var rest = bytes[index...].makeIterator()
        guard case .scalarValue(let scalar) = decoder.decode(&rest) else { return "\u{fffd}" }
        return scalar
    }

    /// Takes the next character, of one to four bytes.
    mutating func takeCharacter() -> Unicode.Scalar? {
        guard let scalar = character(at: position) else { return nil }
        position = min(bytes.count, position + UTF8.width(scalar))
        return scalar
    }
}

/// The classes of characters that the grammars of PromQL and LogQL are written in.
extension UInt8 {
    var isSpace: Bool { self == 0x20 || self == 0x09 || self == 0x0a || self == 0x0d }
    var isDigit: Bool { self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9") }
    var isHexDigit: Bool { isDigit || ((self | 0x20) >= UInt8(ascii: "a") && (self | 0x20) <= UInt8(ascii: "f")) }
    /// A letter or an underscore.
    var isAlpha: Bool {
        self == UInt8(ascii: "_") || ((self | 0x20) >= UInt8(ascii: "a") && (self | 0x20) <= UInt8(ascii: "z"))
    }
    var isAlphaNumeric: Bool { isAlpha || isDigit }
}

extension Unicode.Scalar {
    /// The character as Go's `%q` prints a rune: in single quotes.
    static func quoted(_ scalar: Unicode.Scalar?) -> String {
        guard let scalar else { return "'\u{fffd}'" }
        switch scalar {
        case "'": return "'\\''"
        case "\\": return "'\\\\'"
        case "\n": return "'\\n'"
        case "\t": return "'\\t'"
        case "\r": return "'\\r'"
        case _ where scalar.value < 0x20 || scalar.value == 0x7f:
            let digits = String(scalar.value, radix: 16)
            return "'\\x" + (digits.count < 2 ? "0" : "") + digits + "'"
        default: return "'\(scalar)'"
        }
    }
}
