/// Times as text: RFC 3339 with up to nine decimals, and the numbers the Prometheus and Loki APIs take and give.
package enum Timestamps {
    /// Nanoseconds since 1970 of an RFC 3339 time; nil for other text or a time outside 1677...2262.
    /// Digits behind the ninth decimal are dropped; a lower-case t or z and a space for the T are accepted.
    package static func nanoseconds(rfc3339 text: String) -> Int64? {
        var text = text
        return text.withUTF8 { nanoseconds(rfc3339: UnsafeRawBufferPointer($0)) }
    }

    /// Nanoseconds since 1970 of an RFC 3339 time, straight from bytes.
    package static func nanoseconds(rfc3339 bytes: UnsafeRawBufferPointer) -> Int64? {
        // 0123456789012345678
        // 2006-01-02T15:04:05.999999999Z
        guard bytes.count >= 20, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"),
            bytes[10] | 0x20 == UInt8(ascii: "t") || bytes[10] == UInt8(ascii: " "),
            bytes[13] == UInt8(ascii: ":"), bytes[16] == UInt8(ascii: ":"),
            let year = digits(bytes, 0..<4), let month = digits(bytes, 5..<7), let day = digits(bytes, 8..<10),
            let hour = digits(bytes, 11..<13), let minute = digits(bytes, 14..<16), let second = digits(bytes, 17..<19),
            hour < 24, minute < 60, second < 60, let date = CivilDate(year: year, month: month, day: day)
        else { return nil }
        var index = 19
        var fraction = 0
        if bytes[index] == UInt8(ascii: ".") || bytes[index] == UInt8(ascii: ",") {
            index += 1
            let start = index
            while index < bytes.count, bytes[index] &- UInt8(ascii: "0") < 10 {
                if index - start < 9 { fraction = fraction * 10 + Int(bytes[index] - UInt8(ascii: "0")) }
                index += 1
            }
            guard index > start else { return nil }
            for _ in 0..<max(0, 9 - (index - start)) { fraction *= 10 }
        }
        guard let offsetSeconds = zone(bytes, at: index) else { return nil }
        let seconds = Int64(date.daysSinceEpoch * 86_400 + hour * 3600 + minute * 60 + second - offsetSeconds)
        let (scaled, overflows) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carries) = scaled.addingReportingOverflow(Int64(fraction))
        return overflows || carries ? nil : sum
    }

    /// A time in UTC with as many decimals as it needs: "2023-11-14T22:13:20.5Z" (Go's RFC3339Nano).
    package static func rfc3339(nanoseconds: Int64) -> String {
        let (seconds, fraction) = floored(nanoseconds, by: 1_000_000_000)
        guard fraction != 0 else { return "\(wholeSecond(seconds))Z" }
        var decimals = padded(fraction, 9)
        while decimals.last == "0" { decimals.removeLast() }
        return "\(wholeSecond(seconds)).\(decimals)Z"
    }

    /// A time in UTC with three decimals always, so that times of several lines stand below one another.
    package static func column(milliseconds: Int64) -> String {
        let (seconds, rest) = floored(milliseconds, by: 1000)
        return "\(wholeSecond(seconds)).\(padded(rest, 3))Z"
    }

    private static func wholeSecond(_ seconds: Int64) -> String {
        let (days, rest) = floored(seconds, by: 86_400)
        let date = CivilDate(daysSinceEpoch: Int(days))
        let time = "\(padded(rest / 3600, 2)):\(padded(rest / 60 % 60, 2)):\(padded(rest % 60, 2))"
        return "\(padded(Int64(date.year), 4))-\(padded(Int64(date.month), 2))-\(padded(Int64(date.day), 2))T\(time)"
    }

    /// A time in UTC with milliseconds where they are not zero.
    package static func rfc3339(milliseconds: Int64) -> String {
        let (nanoseconds, overflows) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
        return overflows ? "\(seconds(milliseconds: milliseconds))s" : rfc3339(nanoseconds: nanoseconds)
    }

    /// Seconds as Prometheus' API writes times: "1435781430.781", "1435781430".
    package static func seconds(milliseconds: Int64) -> String {
        var bytes: [UInt8] = []
        appendSeconds(milliseconds: milliseconds, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends `seconds(milliseconds:)`.
    package static func appendSeconds(milliseconds: Int64, to target: inout [UInt8]) {
        if milliseconds < 0 { target.append(UInt8(ascii: "-")) }
        let (whole, rest) = milliseconds.magnitude.quotientAndRemainder(dividingBy: 1000)
        IntegerText.append(whole, to: &target)
        guard rest != 0 else { return }
        target.append(UInt8(ascii: "."))
        var unit: UInt64 = 100
        var left = rest
        while left > 0 {
            target.append(UInt8(ascii: "0") + UInt8(left / unit))
            left %= unit
            unit /= 10
        }
    }

    /// A time parameter of Prometheus' API in milliseconds: seconds with decimals, or RFC 3339; nil for other text.
    package static func milliseconds(prometheus text: String) -> Int64? {
        if let seconds = FloatText.parse(text) {
            let milliseconds = (seconds * 1000).rounded()
            return Int64(exactly: milliseconds)
        }
        if let nanoseconds = nanoseconds(rfc3339: text) { return floored(nanoseconds, by: 1_000_000).quotient }
        // What clients of Prometheus send for "the earliest time" and "the latest".
        switch text {
        case "-292273086-05-16T16:47:06Z": return .min / 1000 * 1000 + 62_135_596_801_000
        case "292277025-08-18T07:12:54.999999999Z": return .max / 1000 * 1000 - 62_135_596_801_000 + 999
        default: return nil
        }
    }

    /// A time parameter of Loki's API in nanoseconds: whole nanoseconds (whole seconds up to ten digits), seconds with
    /// decimals, or RFC 3339; nil for other text.
    package static func nanoseconds(loki text: String) -> Int64? {
        if text.contains("."), let seconds = FloatText.parse(text) {
            let whole = seconds.rounded(.down)
            guard let scaled = Int64(exactly: whole)?.multipliedReportingOverflow(by: 1_000_000_000), !scaled.overflow
            else { return nil }
            return scaled.partialValue &+ Int64(((seconds - whole) * 1e9).rounded())
        }
        if let number = Int64(text) { return text.utf8.count <= 10 ? number * 1_000_000_000 : number }
        return nanoseconds(rfc3339: text)
    }

    /// The offset from UTC in seconds that stands at `index` and must end the text.
    private static func zone(_ bytes: UnsafeRawBufferPointer, at index: Int) -> Int? {
        guard index < bytes.count else { return nil }
        if bytes[index] | 0x20 == UInt8(ascii: "z") { return index + 1 == bytes.count ? 0 : nil }
        let isEast = bytes[index] == UInt8(ascii: "+")
        guard isEast || bytes[index] == UInt8(ascii: "-"), index + 6 == bytes.count,
            bytes[index + 3] == UInt8(ascii: ":"), let hours = digits(bytes, index + 1..<index + 3),
            let minutes = digits(bytes, index + 4..<index + 6), hours < 24, minutes < 60
        else { return nil }
        return (hours * 3600 + minutes * 60) * (isEast ? 1 : -1)
    }

    private static func digits(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Int? {
        var value = 0
        for index in range {
            let digit = bytes[index] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            value = value * 10 + Int(digit)
        }
        return value
    }

    /// Division that rounds down, so that times before 1970 keep a fraction that is not negative.
    private static func floored(_ value: Int64, by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }

    private static func padded(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
