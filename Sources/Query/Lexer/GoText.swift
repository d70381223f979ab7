internal import Telemetry

/// Numbers and strings as Go reads and prints them, because queries, answers and error texts follow Prometheus to the letter.
package enum GoText {
    /// `text` as `%q` prints it.
    static func quoted(_ text: String) -> String { QuotedText.quoted(text) }

    /// A number as `strconv.FormatFloat(x, 'f', -1, 64)` prints it: the shortest digits, never an exponent.
    package static func plain(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        let (sign, digits, point) = decimal(value)
        if point <= 0 { return sign + "0." + String(repeating: "0", count: -point) + digits }
        if digits.count <= point { return sign + digits + String(repeating: "0", count: point - digits.count) }
        let split = digits.index(digits.startIndex, offsetBy: point)
        return sign + digits[..<split] + "." + digits[split...]
    }

    /// A number as `%v` prints it: an exponent below 1e-4 and from 1e21 on.
    package static func general(_ value: Double) -> String {
        guard value.isFinite, value != 0 else { return plain(value) }
        let point = decimal(value).point
        return point - 1 >= -4 && point - 1 < 21 ? plain(value) : scientific(value)
    }

    /// A number as `%f` prints it, for magnitudes that have few digits.
    static func sixDecimals(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e12 else { return plain(value) }
        let scaled = (abs(value) * 1e6).rounded(.toNearestOrEven)
        let digits = String(Int64(scaled))
        let padded = String(repeating: "0", count: max(0, 7 - digits.count)) + digits
        return (value < 0 ? "-" : "") + padded.dropLast(6) + "." + padded.suffix(6)
    }

    /// A number as OpenMetrics writes it: with a point or an exponent, always.
    static func openMetrics(_ value: Double) -> String {
        let text = general(value)
        return value.isFinite && !text.contains(".") && !text.contains("e") ? text + ".0" : text
    }

    /// A number as `%.2g` prints it: two significant digits.
    static func twoDigits(_ value: Double) -> String {
        guard value.isFinite, value != 0 else { return plain(value) }
        var (_, digits, point) = decimal(value)
        if digits.utf8.count > 2 {
            // Through an integer of two digits, so that 9.96 becomes 10.
            let scaled = Double(digits.prefix(3)).map { ($0 / 10).rounded(.toNearestOrEven) } ?? 0
            digits = String(Int(scaled))
            if digits.utf8.count > 2 {
                point += 1
                digits = "10"
            }
        }
        let rounded = Double("\(value < 0 ? "-" : "")0.\(digits)e\(point)") ?? value
        let exponent = point - 1
        return exponent < -4 || exponent >= 2 ? scientific(rounded) : plain(rounded)
    }

    private static func scientific(_ value: Double) -> String {
        let (sign, digits, point) = decimal(value)
        let exponent = point - 1
        let fraction = digits.count > 1 ? "." + digits.dropFirst() : ""
        let magnitude = exponent.magnitude < 10 ? "0\(exponent.magnitude)" : "\(exponent.magnitude)"
        return sign + digits.prefix(1) + fraction + "e" + (exponent < 0 ? "-" : "+") + magnitude
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

    /// Shortest digits of a finite number and where the decimal point stands in them.
    private static func decimal(_ value: Double) -> (sign: String, digits: String, point: Int) {
        let sign = value.sign == .minus ? "-" : ""
        if value == 0 { return (sign, "0", 1) }
        let text = value.magnitude.description
        let parts = text.split(separator: "e", maxSplits: 1)
        let exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
        let mantissa = parts[0].split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let whole = mantissa[0]
        let fraction = mantissa.count > 1 && mantissa[1] != "0" ? mantissa[1] : ""
        var digits = (whole + fraction)[...]
        var point = whole.count + exponent
        while digits.first == "0", digits.count > 1 {
            digits = digits.dropFirst()
            point -= 1
        }
        while digits.last == "0", digits.count > 1 { digits = digits.dropLast() }
        return (sign, String(digits), point)
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
