/// Go's `fmt.Sprintf` for the values a template has: flags, width, precision, and Go's own way of complaining in the
/// text (`%!d(string=hi)`) instead of failing.
struct GoPrintf {
    /// A wider field or a longer precision is taken as a mistake, as in Go.
    static let widthMaximum = 1_000_000

    private struct Specification {
        var minus = false
        var plus = false
        var sharp = false
        var space = false
        var zero = false
        var width: Int?
        var precision: Int?
        var verb: Character = "v"
    }

    private let format: [Character]
    private let arguments: [TemplateValue]
    private var index = 0
    private var used = 0
    private var result = ""

    /// `format` with `arguments` put in.
    static func text(_ format: String, _ arguments: [TemplateValue]) -> String {
        var printer = GoPrintf(format: Array(format), arguments: arguments)
        printer.run()
        return printer.result
    }

    /// `text` as `%q` prints it.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\u{07}": result += "\\a"
            case "\u{08}": result += "\\b"
            case "\u{0c}": result += "\\f"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "\u{0b}": result += "\\v"
            case _ where scalar.value < 0x20 || scalar.value == 0x7f:
                result += "\\x" + padded(String(scalar.value, radix: 16), 2)
            case _ where scalar.value == 0xfeff || (0x80..<0xa0).contains(scalar.value):
                result += "\\u" + padded(String(scalar.value, radix: 16), 4)
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    private init(format: [Character], arguments: [TemplateValue]) {
        self.format = format
        self.arguments = arguments
    }

    private mutating func run() {
        while index < format.count {
            let character = format[index]
            index += 1
            if character == "%" { directive() } else { result.append(character) }
        }
        guard used < arguments.count else { return }
        let extra = arguments[used...].map { $0 == .nothing ? "<nil>" : "\($0.typeName)=\($0.described)" }
        result += "%!(EXTRA \(extra.joined(separator: ", ")))"
    }

    private mutating func directive() {
        var specification = Specification()
        flags(into: &specification)
        specification.width = number(orMarks: "%!(BADWIDTH)")
        if let width = specification.width, width < 0 {
            specification.minus = true
            specification.zero = false
            specification.width = -width
        }
        if index < format.count, format[index] == "." {
            index += 1
            specification.precision = number(orMarks: "%!(BADPREC)") ?? 0
            if let precision = specification.precision, precision < 0 { specification.precision = nil }
        }
        guard index < format.count else {
            result += "%!(NOVERB)"
            return
        }
        specification.verb = format[index]
        index += 1
        if specification.verb == "%" {
            result += "%"
            return
        }
        guard used < arguments.count else {
            result += "%!\(specification.verb)(MISSING)"
            return
        }
        used += 1
        result += GoPrintf.padded(GoPrintf.formatted(arguments[used - 1], specification), specification)
    }

    private mutating func flags(into specification: inout Specification) {
        while index < format.count {
            switch format[index] {
            case "-":
                specification.minus = true
                specification.zero = false
            case "+": specification.plus = true
            case "#": specification.sharp = true
            case " ": specification.space = true
            case "0": specification.zero = !specification.minus
            default: return
            }
            index += 1
        }
    }

    /// A number, or `*` for one from the arguments; nil where there is none.
    private mutating func number(orMarks mistake: String) -> Int? {
        if index < format.count, format[index] == "*" {
            index += 1
            guard used < arguments.count, case .integer(let value) = arguments[used],
                value.magnitude <= GoPrintf.widthMaximum
            else {
                used = min(used + 1, arguments.count)
                result += mistake
                return nil
            }
            used += 1
            return Int(value)
        }
        var value: Int?
        while index < format.count, let digit = format[index].wholeNumberValue, format[index].isASCII {
            value = min((value ?? 0) * 10 + digit, GoPrintf.widthMaximum)
            index += 1
        }
        return value
    }

    // MARK: Verbs

    private static func formatted(_ value: TemplateValue, _ specification: Specification) -> String {
        switch specification.verb {
        case "T": return value.typeName
        case "v" where specification.sharp: return goSyntax(value)
        default: break
        }
        let text: String? =
            switch value {
            case .text(let text): string(text, specification)
            case .integer(let value): integer(value, specification)
            case .float(let value): float(value, specification)
            case .boolean(let flag): "tv".contains(specification.verb) ? (flag ? "true" : "false") : nil
            case .list(let list):
                "[" + list.map { formatted($0, specification) }.joined(separator: " ") + "]"
            case .map, .sample, .time, .instant, .zonedInstant, .object, .duration, .root:
                "sv".contains(specification.verb) ? value.described : nil
            case .nothing: specification.verb == "v" ? "<nil>" : nil
            }
        if let text { return text }
        if case .nothing = value { return "%!\(specification.verb)(<nil>)" }
        return "%!\(specification.verb)(\(value.typeName)=\(value.described))"
    }

    private static func string(_ text: String, _ specification: Specification) -> String? {
        let cut = specification.precision.map { String(String.UnicodeScalarView(text.unicodeScalars.prefix($0))) }
        switch specification.verb {
        case "s", "v": return cut ?? text
        case "q": return specification.sharp && !text.contains("`") ? "`\(cut ?? text)`" : quoted(cut ?? text)
        case "x", "X":
            let digits = text.utf8.prefix(specification.precision ?? .max).map { padded(String($0, radix: 16), 2) }
            let prefix = specification.sharp ? "0x" : ""
            let joined =
                specification.space
                ? digits.map { prefix + $0 }.joined(separator: " ") : prefix + digits.joined()
            return specification.verb == "X" ? joined.uppercased() : joined
        default: return nil
        }
    }

    private static func integer(_ value: Int64, _ specification: Specification) -> String? {
        let radix: Int
        var prefix = ""
        switch specification.verb {
        case "d", "v": radix = 10
        case "b": (radix, prefix) = (2, specification.sharp ? "0b" : "")
        case "o": (radix, prefix) = (8, specification.sharp ? "0" : "")
        case "O": (radix, prefix) = (8, "0o")
        case "x": (radix, prefix) = (16, specification.sharp ? "0x" : "")
        case "X": (radix, prefix) = (16, specification.sharp ? "0X" : "")
        case "c": return Unicode.Scalar(UInt32(clamping: value)).map(String.init) ?? "\u{fffd}"
        case "q": return Unicode.Scalar(UInt32(clamping: value)).map { "'\($0)'" } ?? "'\u{fffd}'"
        case "U": return "U+" + padded(String(value.magnitude, radix: 16, uppercase: true), 4)
        default: return nil
        }
        var digits = String(value.magnitude, radix: radix, uppercase: specification.verb == "X")
        if let precision = specification.precision {
            digits = precision == 0 && value == 0 ? "" : padded(digits, min(precision, widthMaximum))
        } else if specification.zero, let width = specification.width {
            let hasSign = value < 0 || specification.plus || specification.space
            digits = padded(digits, width - (hasSign ? 1 : 0))
        }
        return sign(value < 0, specification) + prefix + digits
    }

    private static func float(_ value: Double, _ specification: Specification) -> String? {
        let body: String
        let magnitude = value.magnitude
        switch specification.verb {
        case "v", "g": body = GoFloat.format(magnitude, "g", precision: specification.precision)
        case "G": body = GoFloat.format(magnitude, "G", precision: specification.precision)
        case "f", "F": body = GoFloat.format(magnitude, "f", precision: specification.precision ?? 6)
        case "e", "E": body = GoFloat.format(magnitude, specification.verb, precision: specification.precision ?? 6)
        default: return nil
        }
        let isNegative = value.sign == .minus && !value.isNaN
        // Go keeps the plus sign of an infinity only where a sign was asked for.
        let bare = body.hasPrefix("+") ? String(body.dropFirst()) : body
        let signText = value == .infinity && !specification.space ? "+" : sign(isNegative, specification)
        guard specification.zero, value.isFinite, let width = specification.width else { return signText + bare }
        return signText + padded(bare, width - signText.count)
    }

    private static func sign(_ isNegative: Bool, _ specification: Specification) -> String {
        if isNegative { return "-" }
        return specification.plus ? "+" : specification.space ? " " : ""
    }

    private static func goSyntax(_ value: TemplateValue) -> String {
        switch value {
        case .text(let text): quoted(text)
        case .map(let map):
            "map[string]string{"
                + map.sorted { $0.key < $1.key }.map { "\(quoted($0.key)):\(quoted($0.value))" }.joined(separator: ", ")
                + "}"
        default: value.described
        }
    }

    private static func padded(_ digits: String, _ width: Int) -> String {
        String(repeating: "0", count: max(0, min(width, widthMaximum) - digits.count)) + digits
    }

    private static func padded(_ text: String, _ specification: Specification) -> String {
        guard let width = specification.width else { return text }
        let missing = width - text.unicodeScalars.count
        guard missing > 0 else { return text }
        let fillsZeros = specification.zero && !specification.minus
        let filling = String(repeating: fillsZeros ? "0" : " ", count: missing)
        return specification.minus ? text + filling : filling + text
    }
}
