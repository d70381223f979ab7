/// Which names labels and metrics may have where no quotes are allowed around them.
package enum LabelName {
    /// Whether `name` is a letter or underscore, then letters, digits and underscores.
    package static func isValid(_ name: String) -> Bool { isValid(name, allowsColon: false) }

    /// Whether `name` may be a metric's name without quotes: as a label's, and colons too.
    package static func isValidMetric(_ name: String) -> Bool { isValid(name, allowsColon: true) }

    /// Whether `byte` may stand in such a name; digits not at its start.
    package static func isNameByte(_ byte: UInt8, isFirst: Bool, allowsColon: Bool) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"): !isFirst
        case UInt8(ascii: ":"): allowsColon
        default: false
        }
    }

    /// A name made valid: every other byte becomes an underscore, and one is put in front of a digit.
    package static func sanitized(_ name: String) -> String {
        if isValid(name) { return name }
        var bytes = name.utf8.map { isNameByte($0, isFirst: false, allowsColon: false) ? $0 : UInt8(ascii: "_") }
        if let first = bytes.first, first &- UInt8(ascii: "0") < 10 { bytes.insert(UInt8(ascii: "_"), at: 0) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The name that `U__http_2e_method` stands for where only letters, digits and underscores may stand, as in a URL:
    /// `__` is an underscore, `_2e_` the character U+002E. Text that is not so written stays as it is.
    package static func unescaped(_ name: String) -> String {
        guard name.hasPrefix("U__") else { return name }
        var result = ""
        var rest = name.dropFirst(3)
        while let character = rest.popFirst() {
            guard character == "_" else {
                result.append(character)
                continue
            }
            if rest.first == "_" {
                rest.removeFirst()
                result.append("_")
                continue
            }
            // Six digits are enough for any character.
            guard let end = rest.prefix(7).firstIndex(of: "_"), let code = UInt32(rest[..<end], radix: 16),
                let scalar = Unicode.Scalar(code), rest.first?.isHexDigit == true
            else { return name }
            result.unicodeScalars.append(scalar)
            rest = rest[end...].dropFirst()
        }
        return result
    }

    private static func isValid(_ name: String, allowsColon: Bool) -> Bool {
        var isFirst = true
        for byte in name.utf8 {
            if !isNameByte(byte, isFirst: isFirst, allowsColon: allowsColon) { return false }
            isFirst = false
        }
        return !isFirst
    }
}
