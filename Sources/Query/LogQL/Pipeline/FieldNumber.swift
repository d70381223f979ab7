internal import Telemetry

/// Reads the numbers that fields hold: plain, durations, byte sizes. Errors are those of Go's `strconv` and `time` and
/// of go-humanize, which users of Loki know.
enum FieldNumber {
    /// Why a field is no such number.
    struct Failure: Error {
        let message: String
    }

    static func plain(_ text: String) throws(Failure) -> Double {
        guard isDecimalNumber(text), let value = FloatText.parse(text) else {
            throw Failure(message: "strconv.ParseFloat: parsing \(QuotedText.quoted(text)): invalid syntax")
        }
        return value
    }

    /// Go's `ParseFloat` has no blanks, and hexadecimal numbers only with an exponent.
    private static func isDecimalNumber(_ text: String) -> Bool {
        let lower = text.lowercased()
        return !lower.contains("0x") || lower.contains("p")
    }

    static func nanoseconds(_ text: String) throws(Failure) -> Int64 {
        do throws(DurationError) {
            return try Durations.nanoseconds(go: text)
        } catch {
            throw Failure(message: error.description)
        }
    }

    static func bytes(_ text: String) throws(Failure) -> Double {
        if let bytes = ByteSizes.bytes(text) { return Double(bytes) }
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == "." || $0 == ",") }
        let number = digits.filter { $0 != "," }
        guard FloatText.parse(number) != nil else {
            throw Failure(message: "strconv.ParseFloat: parsing \(QuotedText.quoted(number)): invalid syntax")
        }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }
        throw Failure(message: "unhandled size name: \(unit.lowercased())")
    }
}
