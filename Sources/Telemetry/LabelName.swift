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

    private static func isValid(_ name: String, allowsColon: Bool) -> Bool {
        var isFirst = true
        for byte in name.utf8 {
            if !isNameByte(byte, isFirst: isFirst, allowsColon: allowsColon) { return false }
            isFirst = false
        }
        return !isFirst
    }
}
