/// The text of a JSON string or key as it stands between its quotes, not copied. Lives as long as the scanner's buffer.
package struct JSONText {
    /// The bytes between the quotes, escapes not yet resolved, not checked to be UTF-8.
    package let raw: UnsafeRawBufferPointer
    /// Whether `raw` contains a backslash.
    package let hasEscapes: Bool

    /// The text of `raw`, which the scanner found well-formed.
    init(raw: UnsafeRawBufferPointer, hasEscapes: Bool) {
        self.raw = raw
        self.hasEscapes = hasEscapes
    }

    /// The text as a string; bytes that are not UTF-8 become U+FFFD.
    package var string: String {
        guard hasEscapes else { return String(decoding: raw, as: UTF8.self) }
        return String(decoding: unescaped, as: UTF8.self)
    }

    /// The bytes of the text, escapes resolved, other bytes as they were.
    package var unescaped: [UInt8] {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return bytes
    }

    /// Whether the text is `other`.
    package static func == (text: JSONText, other: StaticString) -> Bool {
        if text.hasEscapes { return text.unescaped.withUnsafeBytes { $0.isSame(as: other) } }
        return text.raw.isSame(as: other)
    }

    /// Appends the bytes of the text with its escapes resolved. As in Go, a surrogate without its partner becomes
    /// U+FFFD.
    package func append(to target: inout [UInt8]) {
        guard hasEscapes else {
            target.append(contentsOf: raw)
            return
        }
        var index = 0
        while index < raw.count {
            let byte = raw[index]
            if byte != UInt8(ascii: "\\") {
                let end = raw.offset(of: UInt8(ascii: "\\"), from: index) ?? raw.count
                target.append(contentsOf: UnsafeRawBufferPointer(rebasing: raw[index..<end]))
                index = end
                continue
            }
            let escape = raw[index + 1]
            index += 2
            switch escape {
            case UInt8(ascii: "n"): target.append(0x0a)
            case UInt8(ascii: "t"): target.append(0x09)
            case UInt8(ascii: "r"): target.append(0x0d)
            case UInt8(ascii: "b"): target.append(0x08)
            case UInt8(ascii: "f"): target.append(0x0c)
            case UInt8(ascii: "u"): appendCodeUnit(at: &index, to: &target)
            default: target.append(escape)
            }
        }
    }

    /// Resolves the four digits at `index`, and the low surrogate behind them where they are a high one.
    private func appendCodeUnit(at index: inout Int, to target: inout [UInt8]) {
        let unit = codeUnit(at: index)
        index += 4
        var scalar = Unicode.Scalar(unit)
        let isHigh = (0xd800..<0xdc00).contains(unit)
        if isHigh, index + 6 <= raw.count, raw[index] == UInt8(ascii: "\\"), raw[index + 1] == UInt8(ascii: "u") {
            let low = codeUnit(at: index + 2)
            if (0xdc00..<0xe000).contains(low) {
                index += 6
                scalar = Unicode.Scalar(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00))
            }
        }
        target.append(contentsOf: String(scalar ?? "\u{fffd}").utf8)
    }

    private func codeUnit(at index: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 << 4 | UInt32(Hexadecimal.value(of: raw[index + $1]) ?? 0) }
    }
}
