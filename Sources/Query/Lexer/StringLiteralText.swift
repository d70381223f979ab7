/// String literals in double, single or back quotes, with the escapes of Go.
enum StringLiteralText {
    /// The text between the quotes; nil when it is not a well-formed literal.
    static func unquoted(_ literal: String) -> String? {
        let bytes = Array(literal.utf8)
        guard bytes.count >= 2, let quote = bytes.first, quote == bytes.last else { return nil }
        let body = bytes[1..<bytes.count - 1]
        switch quote {
        case UInt8(ascii: "`"):
            return body.contains(quote) ? nil : String(decoding: body, as: UTF8.self)
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
            guard !body.contains(UInt8(ascii: "\n")) else { return nil }
            if !body.contains(UInt8(ascii: "\\")) {
                return body.contains(quote) ? nil : String(decoding: body, as: UTF8.self)
            }
            return unescaped(body, quote: quote).map { String(decoding: $0, as: UTF8.self) }
        default: return nil
        }
    }

    private static func unescaped(_ body: ArraySlice<UInt8>, quote: UInt8) -> [UInt8]? {
        var result: [UInt8] = []
        var rest = body
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                if byte == quote { return nil }
                result.append(byte)
                continue
            }
            guard let kind = rest.popFirst() else { return nil }
            switch kind {
            case UInt8(ascii: "a"): result.append(0x07)
            case UInt8(ascii: "b"): result.append(0x08)
            case UInt8(ascii: "f"): result.append(0x0c)
            case UInt8(ascii: "n"): result.append(0x0a)
            case UInt8(ascii: "r"): result.append(0x0d)
            case UInt8(ascii: "t"): result.append(0x09)
            case UInt8(ascii: "v"): result.append(0x0b)
            case UInt8(ascii: "\\"), quote: result.append(kind)
            default:
                guard appendNumbered(kind, &rest, to: &result) else { return nil }
            }
        }
        return result
    }

    /// `\x41`, `\101` stand for bytes, `\u0041` and `\U00000041` for characters.
    private static func appendNumbered(
        _ kind: UInt8, _ rest: inout ArraySlice<UInt8>, to result: inout [UInt8]
    ) -> Bool {
        let (count, radix): (Int, Int)
        switch kind {
        case UInt8(ascii: "x"): (count, radix) = (2, 16)
        case UInt8(ascii: "u"): (count, radix) = (4, 16)
        case UInt8(ascii: "U"): (count, radix) = (8, 16)
        case UInt8(ascii: "0")...UInt8(ascii: "7"):
            rest = rest.isEmpty ? [kind] : [kind] + rest
            (count, radix) = (3, 8)
        default: return false
        }
        let digits = rest.prefix(count)
        guard digits.count == count, digits.allSatisfy({ $0.isHexDigit }),
            let number = UInt32(String(decoding: digits, as: UTF8.self), radix: radix)
        else { return false }
        rest = rest.dropFirst(count)
        if kind == UInt8(ascii: "u") || kind == UInt8(ascii: "U") {
            guard let scalar = Unicode.Scalar(number) else { return false }
            result.append(contentsOf: Array(String(Character(scalar)).utf8))
            return true
        }
        guard number <= 255 else { return false }
        result.append(UInt8(number))
        return true
    }
}
