internal import Telemetry

/// A time on the command line: "now", a duration ago ("5m"), RFC 3339, or seconds since 1970.
enum TimeArgument {
    /// What nanoseconds in 64 bits can tell, with room for sums.
    private static let secondsMaximum = 4e9
    private static let agoMaximumMilliseconds: Int64 = 4_000_000_000_000

    /// Nanoseconds since 1970; `option` names the option in the error.
    static func nanoseconds(_ text: String, option: String, now: Int64) throws -> Int64 {
        if text == "now" { return now }
        if let time = Timestamps.nanoseconds(rfc3339: text) { return time }
        if let ago = try? Durations.milliseconds(prometheus: text), ago < agoMaximumMilliseconds {
            return now - ago * 1_000_000
        }
        if let seconds = Double(text), abs(seconds) < secondsMaximum { return Int64(seconds * 1e9) }
        throw CommandFailure.wrongUsage(
            "\(option) \(text) is no time; write a duration ago (5m), RFC 3339 (2026-11-23T10:00:00Z) "
                + "or seconds since 1970")
    }

    /// A duration such as 30s or 1h; `option` names the option in the error.
    static func duration(_ text: String, option: String) throws -> Int64 {
        guard let milliseconds = try? Durations.milliseconds(prometheus: text), milliseconds >= 0 else {
            throw CommandFailure.wrongUsage("\(option) \(text) is no duration; write for example 15s, 5m, 1h30m or 7d")
        }
        return milliseconds
    }
}
