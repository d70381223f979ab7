internal import Telemetry

/// Numbers, durations and times as people read them, to the letter as Prometheus' template functions print them.
package enum Humanize {
    private static let small = ["m", "u", "n", "p", "f", "a", "z", "y"]

    /// Four digits with a metric prefix: `1.234M`.
    package static func metric(_ value: Double) -> String {
        guard value != 0, value.isFinite else { return fourDigits(value) }
        if value.magnitude < 1 { return below(value, unit: "") }
        var (rest, prefix) = (value, "")
        for next in ["k", "M", "G", "T", "P", "E", "Z", "Y"] where rest.magnitude >= 1000 {
            prefix = next
            rest /= 1000
        }
        return fourDigits(rest) + prefix
    }

    /// Four digits with a binary prefix: `1.234Mi`.
    package static func binary(_ value: Double) -> String {
        guard value.magnitude > 1, value.isFinite else { return fourDigits(value) }
        var (rest, prefix) = (value, "")
        for next in ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"] where rest.magnitude >= 1024 {
            prefix = next
            rest /= 1024
        }
        return fourDigits(rest) + prefix
    }

    /// `1d 2h 3m 4s`; below a minute four digits, below a second with a prefix.
    package static func duration(seconds value: Double) -> String {
        guard value.isFinite else { return fourDigits(value) }
        if value == 0 { return fourDigits(value) + "s" }
        guard value.magnitude >= 1 else { return below(value, unit: "s") }
        let sign = value < 0 ? "-" : ""
        // As Go's conversion does on amd64: what does not fit is the smallest integer.
        let whole = value.magnitude < 9.2e18 ? Int64(value.magnitude) : Int64.min
        let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60)
        if days != 0 { return "\(sign)\(days)d \(hours)h \(minutes)m \(seconds)s" }
        if hours != 0 { return "\(sign)\(hours)h \(minutes)m \(seconds)s" }
        if minutes != 0 { return "\(sign)\(minutes)m \(seconds)s" }
        return "\(sign)\(fourDigits(value.magnitude))s"
    }

    /// A ratio as percent: `12.34%`.
    package static func percentage(_ value: Double) -> String { fourDigits(value * 100) + "%" }

    /// Seconds since 1970 as a date; nil when they do not fit 64-bit nanoseconds.
    package static func timestamp(seconds value: Double) -> String? {
        guard value.isFinite else { return fourDigits(value) }
        guard (value * 1e9).magnitude <= 9_223_372_036_854_774_784 else { return nil }
        return goTime(seconds: value)
    }

    /// Seconds since 1970 as Go prints a time: "2026-11-23 17:41:36.5 +0000 UTC".
    static func goTime(seconds: Double) -> String {
        let milliseconds = (seconds * 1000).rounded(.towardZero)
        guard milliseconds.magnitude < 9e18 else { return fourDigits(seconds) }
        let text = Timestamps.rfc3339(milliseconds: Int64(milliseconds))
        guard let separator = text.firstIndex(of: "T") else { return text }
        return "\(text[..<separator]) \(text[text.index(after: separator)...].dropLast()) +0000 UTC"
    }

    /// A duration as Go prints it: `1h2m3.5s`, `250ms`, `0s`.
    static func goDuration(seconds: Double) -> String {
        let nanoseconds = (seconds * 1e9).rounded()
        guard nanoseconds.magnitude < 9.2e18 else { return fourDigits(seconds) + "s" }
        return Durations.go(nanoseconds: Int64(nanoseconds))
    }

    private static func below(_ value: Double, unit: String) -> String {
        var (rest, prefix) = (value, "")
        for next in small where rest.magnitude < 1 {
            prefix = next
            rest *= 1000
        }
        return fourDigits(rest) + prefix + unit
    }

    private static func fourDigits(_ value: Double) -> String { GoFloat.format(value, "g", precision: 4) }
}
