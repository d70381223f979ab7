internal import Telemetry

/// Numbers and strings as Go reads and prints them: queries, answers and error texts follow Prometheus to the letter.
package enum GoText {
    /// `text` as `%q` prints it.
    static func quoted(_ text: String) -> String { QuotedText.quoted(text) }

    /// A number as `strconv.FormatFloat(x, 'f', -1, 64)` prints it: the shortest digits, never an exponent.
    static func plain(_ value: Double) -> String { FloatText.plain(value) }

    /// A number as `%v` prints it: an exponent below 1e-4 and from 1e21 on.
    static func value(_ value: Double) -> String {
        let magnitude = value.magnitude
        guard value.isFinite, magnitude != 0, magnitude < 1e-4 || magnitude >= 1e21 else {
            return FloatText.plain(value)
        }
        return FloatText.general(value)
    }

    /// A number as OpenMetrics writes it: with a point or an exponent, always.
    static func openMetrics(_ value: Double) -> String {
        let text = FloatText.general(value)
        return value.isFinite && !text.contains(".") && !text.contains("e") ? text + ".0" : text
    }

    /// A count with commas: `11,000`.
    static func thousands(_ count: Int) -> String {
        var digits = Substring(String(count))
        var groups: [Substring] = []
        while digits.count > 3 {
            groups.insert(digits.suffix(3), at: 0)
            digits = digits.dropLast(3)
        }
        return ([digits] + groups).joined(separator: ",")
    }

    /// Why a text is not a number.
    package enum NumberFailure: Error, Hashable, CustomStringConvertible {
        case syntax(String)
        case range(String)

        package var description: String {
            switch self {
            case .syntax(let text): "strconv.ParseFloat: parsing \(GoText.quoted(text)): invalid syntax"
            case .range(let text): "strconv.ParseFloat: parsing \(GoText.quoted(text)): value out of range"
            }
        }
    }

    /// A number as Prometheus reads it: first as an integer of any base (`0x1f`, `0755`, `1_000`), then as a float.
    package static func number(_ text: String) throws(NumberFailure) -> Double {
        let lower = text.lowercased()
        let digits = lower.first == "+" || lower.first == "-" ? lower.dropFirst() : lower[...]
        let sign: Double = lower.first == "-" ? -1 : 1
        switch digits {
        case "inf", "infinity": return sign * .infinity
        case "nan": return .nan
        default: break
        }
        guard hasFittingUnderscores(digits) else { throw .syntax(text) }
        let clean = String(digits.filter { $0 != "_" })
        if let integer = integer(clean) { return sign * integer }
        guard let first = clean.utf8.first, first.isDigit || first == UInt8(ascii: "."), !clean.hasPrefix("0x") else {
            guard clean.hasPrefix("0x"), clean.contains("p"), let value = Double(clean) else { throw .syntax(text) }
            return sign * value
        }
        // Swift wants a digit behind the point, Go does not.
        let patched = clean.hasSuffix(".") ? clean + "0" : clean.replacingFirst(".e", with: ".0e")
        guard let value = Double(patched.first == "." ? "0" + patched : patched) else { throw .syntax(text) }
        if value.isInfinite { throw .range(text) }
        return sign * value
    }

    private static func integer(_ digits: String) -> Double? {
        let bases: [(prefix: String, radix: Int)] = [("0x", 16), ("0b", 2), ("0o", 8)]
        for base in bases where digits.hasPrefix(base.prefix) {
            return Int64(digits.dropFirst(2), radix: base.radix).map(Double.init)
        }
        guard digits.utf8.allSatisfy({ $0.isDigit }) else { return nil }
        if digits.count > 1, digits.first == "0" { return Int64(digits.dropFirst(), radix: 8).map(Double.init) }
        return Int64(digits).map(Double.init)
    }

    /// Underscores may stand only between digits, or between a base prefix and a digit.
    private static func hasFittingUnderscores(_ digits: Substring) -> Bool {
        guard digits.contains("_") else { return true }
        let hasPrefix = ["0x", "0b", "0o"].contains { digits.hasPrefix($0) }
        var previous: UInt8 = hasPrefix ? UInt8(ascii: "0") : 0
        for byte in digits.utf8.dropFirst(hasPrefix ? 2 : 0) {
            let isDigit = digits.hasPrefix("0x") ? byte.isHexDigit : byte.isDigit
            if byte == UInt8(ascii: "_"), previous != UInt8(ascii: "0") { return false }
            if previous == UInt8(ascii: "_"), !isDigit { return false }
            previous = isDigit ? UInt8(ascii: "0") : byte
        }
        return previous != UInt8(ascii: "_")
    }
}

extension String {
    fileprivate func replacingFirst(_ piece: String, with replacement: String) -> String {
        guard let range = firstRange(of: piece) else { return self }
        return String(self[..<range.lowerBound]) + replacement + String(self[range.upperBound...])
    }
}
