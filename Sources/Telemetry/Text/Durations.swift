/// Why text is no duration, in the words of Prometheus or Go.
package struct DurationError: Error, Equatable, CustomStringConvertible {
    /// "unknown unit \"x\" in duration \"5x\""
    package let description: String
}

/// Durations as text: Prometheus' `1h30m`, `5ms`, `90d`, and Go's `1.5s`.
package enum Durations {
    /// Milliseconds of a Prometheus duration: whole numbers with the units y w d h m s ms, in this order, each at most
    /// once, or "0". Throws in the words of `model.ParseDuration`.
    package static func milliseconds(prometheus text: String) throws(DurationError) -> Int64 {
        if text == "0" { return 0 }
        if text.isEmpty { throw DurationError(description: "empty duration string") }
        let invalid = DurationError(description: "not a valid duration string: \(QuotedText.quoted(text))")
        var total: Int64 = 0
        var rest = Substring(text).utf8
        var unitsLeft = prometheusUnits[...]
        while !rest.isEmpty {
            let number = rest.prefix { $0 &- UInt8(ascii: "0") < 10 }
            rest = rest.dropFirst(number.count)
            let name = rest.prefix { $0 &- UInt8(ascii: "0") >= 10 }
            rest = rest.dropFirst(name.count)
            if !number.isEmpty, !name.isEmpty, !prometheusUnits.contains(where: { $0.name.utf8.elementsEqual(name) }) {
                let unit = QuotedText.quoted(String(Substring(name)))
                throw DurationError(description: "unknown unit \(unit) in duration \(QuotedText.quoted(text))")
            }
            guard !number.isEmpty, let index = unitsLeft.firstIndex(where: { $0.name.utf8.elementsEqual(name) })
            else { throw invalid }
            let unit = unitsLeft[index]
            unitsLeft = unitsLeft[(index + 1)...]
            guard let count = Int64(Substring(number)),
                case let product = count.multipliedReportingOverflow(by: unit.milliseconds), !product.overflow,
                case let sum = total.addingReportingOverflow(product.partialValue), !sum.overflow,
                // Prometheus keeps durations in nanoseconds of 64 bits.
                sum.partialValue <= Int64.max / 1_000_000
            else { throw DurationError(description: "duration out of range") }
            total = sum.partialValue
        }
        return total
    }

    /// A duration as Prometheus prints it: "1h30m", "0s"; years and weeks only where nothing is left over ("90d").
    package static func prometheus(milliseconds: Int64) -> String {
        if milliseconds == 0 { return "0s" }
        var rest = milliseconds.magnitude
        var text = milliseconds < 0 ? "-" : ""
        for unit in prometheusUnits {
            let size = UInt64(unit.milliseconds)
            let isExactOnly = unit.name == "y" || unit.name == "w"
            if rest < size || isExactOnly && !rest.isMultiple(of: size) { continue }
            text += "\(rest / size)\(unit.name)"
            rest %= size
        }
        return text
    }

    /// Nanoseconds of a Go duration: "1.5h", "-2h45m", "300ms", "1µs", "0". Throws in the words of
    /// `time.ParseDuration`.
    package static func nanoseconds(go text: String) throws(DurationError) -> Int64 {
        let quoted = QuotedText.quoted(text)
        let invalid = DurationError(description: "time: invalid duration \(quoted)")
        var rest = Substring(text)
        let isNegative = rest.first == "-"
        if isNegative || rest.first == "+" { rest.removeFirst() }
        if rest == "0" { return 0 }
        guard !rest.isEmpty else { throw invalid }
        var total = 0.0
        var exact: Int64 = 0
        while !rest.isEmpty {
            let whole = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(whole.count)
            var fraction = Substring()
            if rest.first == "." {
                rest.removeFirst()
                fraction = rest.prefix { $0.isASCII && $0.isNumber }
                rest = rest.dropFirst(fraction.count)
            }
            guard !whole.isEmpty || !fraction.isEmpty else { throw invalid }
            let name = rest.prefix { $0 != "." && !($0.isASCII && $0.isNumber) }
            rest = rest.dropFirst(name.count)
            guard !name.isEmpty else {
                throw DurationError(description: "time: missing unit in duration \(quoted)")
            }
            guard let size = goUnits[String(name)] else {
                let unit = QuotedText.quoted(String(name))
                throw DurationError(description: "time: unknown unit \(unit) in duration \(quoted)")
            }
            guard let count = whole.isEmpty ? 0 : Int64(whole),
                case let product = count.multipliedReportingOverflow(by: size), !product.overflow
            else { throw invalid }
            let part = (Double("0.\(fraction.isEmpty ? "0" : fraction)") ?? 0) * Double(size)
            total += Double(product.partialValue) + part
            // The fraction of a unit is cut to whole nanoseconds, as in Go.
            let sum = exact.addingReportingOverflow(product.partialValue)
            let full = sum.partialValue.addingReportingOverflow(Int64((part + 1e-6).rounded(.down)))
            guard !sum.overflow, !full.overflow else { throw invalid }
            exact = full.partialValue
        }
        return isNegative ? -exact : exact
    }

    /// A duration as Go prints it: "1h15m30.918s", "1.5s", "2ms", "0s".
    package static func go(nanoseconds: Int64) -> String {
        if nanoseconds == 0 { return "0s" }
        let sign = nanoseconds < 0 ? "-" : ""
        let magnitude = nanoseconds.magnitude
        if magnitude < 1000 { return "\(sign)\(magnitude)ns" }
        if magnitude < 1_000_000 { return sign + decimal(magnitude, 1000) + "µs" }
        if magnitude < 1_000_000_000 { return sign + decimal(magnitude, 1_000_000) + "ms" }
        let minutes = magnitude / 60_000_000_000
        let seconds = decimal(magnitude % 60_000_000_000, 1_000_000_000) + "s"
        if minutes == 0 { return sign + seconds }
        return minutes < 60 ? "\(sign)\(minutes)m\(seconds)" : "\(sign)\(minutes / 60)h\(minutes % 60)m\(seconds)"
    }

    /// Nanoseconds of either notation, as LogQL accepts them.
    package static func nanoseconds(either text: String) throws(DurationError) -> Int64 {
        if let milliseconds = try? milliseconds(prometheus: text) { return milliseconds * 1_000_000 }
        return try nanoseconds(go: text)
    }

    private static let prometheusUnits: [(name: String, milliseconds: Int64)] = [
        ("y", 365 * 86_400_000), ("w", 7 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000),
        ("s", 1000), ("ms", 1),
    ]

    private static let goUnits: [String: Int64] = [
        "ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000,
        "h": 3_600_000_000_000,
    ]

    private static func decimal(_ value: UInt64, _ unit: UInt64) -> String {
        let (whole, rest) = value.quotientAndRemainder(dividingBy: unit)
        if rest == 0 { return String(whole) }
        var digits = String(rest + unit).dropFirst()
        while digits.last == "0" { digits.removeLast() }
        return "\(whole).\(digits)"
    }
}
