/// Double-quoted text with the escapes that PromQL, LogQL and Go's `strconv.Quote` share.
public enum QuotedText {
    /// `text` in double quotes, with quotes, backslashes and what cannot be seen escaped.
    public static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case "\r": result += "\\r"
            case "\u{07}": result += "\\a"
            case "\u{08}": result += "\\b"
            case "\u{0b}": result += "\\v"
            case "\u{0c}": result += "\\f"
            case _ where scalar.value < 0x20 || scalar.value == 0x7f: result += "\\x" + digits(scalar, 2)
            case _ where isVisible(scalar): result.unicodeScalars.append(scalar)
            case _ where scalar.value < 0x10000: result += "\\u" + digits(scalar, 4)
            default: result += "\\U" + digits(scalar, 8)
            }
        }
        return result + "\""
    }

    private static func digits(_ scalar: Unicode.Scalar, _ width: Int) -> String {
        let digits = String(scalar.value, radix: 16)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// Go's `strconv.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
    private static func isVisible(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return true }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .spaceSeparator, .lineSeparator,
            .paragraphSeparator:
            return false
        default: return true
        }
    }
}
