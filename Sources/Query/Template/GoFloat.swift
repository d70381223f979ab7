internal import Telemetry

/// Floating-point numbers as Go's `fmt` writes them: the verbs `e`, `f` and `g`, with a precision or with the fewest
/// digits that read back as the same number.
package enum GoFloat {
    /// `%v`: the fewest digits, with an exponent below 1e-4 and from 1e+06 on ("1e+06", "1.234567e+06", "123456").
    package static func shortest(_ value: Double) -> String { format(value, "g", precision: nil) }

    /// `value` by `verb` (e, E, f, F, g, G); nil asks for the fewest digits.
    package static func format(_ value: Double, _ verb: Character, precision: Int?) -> String {
        let lower = Character(verb.lowercased())
        let text =
            if let precision {
                FloatText.formatted(value, verb: lower, precision: precision)
            } else {
                fewest(value, lower)
            }
        return verb.isUppercase && value.isFinite ? text.uppercased() : text
    }

    private static func fewest(_ value: Double, _ verb: Character) -> String {
        let plain = FloatText.plain(value)
        guard value.isFinite, verb != "f" else { return plain }
        let sign = value.sign == .minus ? "-" : ""
        let magnitude = plain.drop { $0 == "-" }
        let whole = magnitude.prefix { $0 != "." }
        var digits = magnitude.filter { $0 != "." }[...]
        let leadingZeros = value == 0 ? 0 : digits.prefix { $0 == "0" }.count
        digits = digits.dropFirst(leadingZeros)
        let exponent = value == 0 ? 0 : whole.count - 1 - leadingZeros
        if verb == "g", exponent >= -4, exponent < 6 { return plain }
        while digits.count > 1, digits.last == "0" { digits.removeLast() }
        let fraction = digits.count > 1 ? "." + digits.dropFirst() : ""
        let padding = exponent.magnitude < 10 ? "0" : ""
        return "\(sign)\(digits.prefix(1))\(fraction)e\(exponent < 0 ? "-" : "+")\(padding)\(exponent.magnitude)"
    }
}
