/// Durations as Prometheus writes them: `1h30m`, largest unit first, whole numbers only.
package enum DurationText {
    /// Why a text is not a duration.
    package struct Failure: Error, Hashable, CustomStringConvertible {
        package let description: String
    }

    private static let units: [(suffix: String, milliseconds: Int64)] = [
        ("y", 365 * 86_400_000), ("w", 7 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000),
        ("s", 1000), ("ms", 1),
    ]

    /// The most milliseconds a duration may have: Go's `time.Duration` counts nanoseconds in 64 bits.
    static let millisecondsMaximum = Int64.max / 1_000_000

    /// Milliseconds of `text`.
    package static func milliseconds(_ text: String) throws(Failure) -> Int64 {
        if text == "0" { return 0 }
        if text.isEmpty { throw Failure(description: "empty duration string") }
        let malformed = Failure(description: "not a valid duration string: \(GoText.quoted(text))")
        var rest = Array(text.utf8)[...]
        var unit = 0
        var total: Int64 = 0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isDigit }
            let suffix = rest.dropFirst(digits.count).prefix { !$0.isDigit }
            rest = rest.dropFirst(digits.count + suffix.count)
            let name = String(decoding: suffix, as: UTF8.self)
            guard !digits.isEmpty, let found = units[unit...].firstIndex(where: { $0.suffix == name }) else {
                throw malformed
            }
            guard let number = Int64(String(decoding: digits, as: UTF8.self)) else {
                throw Failure(description: "duration out of range")
            }
            let (product, isTooLarge) = number.multipliedReportingOverflow(by: units[found].milliseconds)
            let (sum, isOver) = total.addingReportingOverflow(product)
            if isTooLarge || isOver || sum > millisecondsMaximum {
                throw Failure(description: "duration out of range")
            }
            total = sum
            unit = found + 1
        }
        return total
    }

    /// The text of a duration: years and weeks only where nothing is left over, `0s` for nothing.
    package static func text(milliseconds: Int64) -> String {
        if milliseconds == 0 { return "0s" }
        var rest = milliseconds.magnitude
        var result = milliseconds < 0 ? "-" : ""
        for (index, unit) in units.enumerated() {
            let size = UInt64(unit.milliseconds)
            if index < 2, rest % size != 0 { continue }
            let count = rest / size
            guard count > 0 else { continue }
            result += "\(count)\(unit.suffix)"
            rest -= count * size
        }
        return result
    }
}
