/// Names of labels made from names of fields.
enum FieldName {
    /// `name` with underscores for all but letters, digits and underscores; one more in front of a leading digit where
    /// the name begins a label. Blanks around it are left out.
    static func sanitized(_ name: String, isFirst: Bool = true) -> String {
        var bytes = name.utf8[...]
        while let first = bytes.first, first.isSpace { bytes.removeFirst() }
        while let last = bytes.last, last.isSpace { bytes.removeLast() }
        let beginsWithDigit = isFirst && bytes.first?.isDigit == true
        if !beginsWithDigit, bytes.count == name.utf8.count, bytes.allSatisfy({ $0.isAlphaNumeric }) { return name }
        var result: [UInt8] = beginsWithDigit ? [UInt8(ascii: "_")] : []
        var isInCharacter = false
        for byte in bytes {
            // One underscore for a character, however many bytes it has.
            if byte & 0xc0 == 0x80, isInCharacter { continue }
            isInCharacter = byte >= 0x80
            result.append(byte.isAlphaNumeric ? byte : UInt8(ascii: "_"))
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// Whether a label may have this name in LogQL.
    static func isValid(_ name: String) -> Bool {
        name.utf8.first?.isAlpha == true && name.utf8.allSatisfy { $0.isAlphaNumeric }
    }
}
