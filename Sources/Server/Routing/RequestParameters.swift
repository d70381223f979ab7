internal import Telemetry
internal import Wire

/// The parameters of a request, from its form body and its query string together, read as the two APIs write them.
struct RequestParameters: Sendable {
    private let query: QueryString

    init(_ query: QueryString) {
        self.query = query
    }

    /// The first value of `name`, nil when absent or empty.
    subscript(name: String) -> String? {
        guard let value = query[name], !value.isEmpty else { return nil }
        return value
    }

    /// All values of `name`.
    func all(_ name: String) -> [String] { query.values(of: name) }

    /// A value that must be there.
    func required(_ name: String) throws(APIFailure) -> String {
        guard let value = self[name] else { throw .invalid(name, "it is missing") }
        return value
    }

    /// A time of the Prometheus API, in milliseconds.
    func time(_ name: String) throws(APIFailure) -> Int64? {
        guard let text = self[name] else { return nil }
        guard let time = Timestamps.milliseconds(prometheus: text) else {
            throw .invalid(name, "cannot parse \(QuotedText.quoted(text)) to a valid timestamp")
        }
        return time
    }

    /// A duration of the Prometheus API, in milliseconds: seconds with decimals, or a duration with units.
    func duration(_ name: String) throws(APIFailure) -> Int64? {
        guard let text = self[name] else { return nil }
        if let seconds = FloatText.parse(text) {
            let milliseconds = seconds * 1_000
            guard milliseconds.isFinite, abs(milliseconds) < 9e18 else {
                throw .invalid(name, "cannot parse \(QuotedText.quoted(text)) to a valid duration. It overflows int64")
            }
            return Int64(milliseconds)
        }
        do {
            return try Durations.milliseconds(prometheus: text)
        } catch {
            throw .invalid(name, "cannot parse \(QuotedText.quoted(text)) to a valid duration")
        }
    }

    /// A time of the Loki API, in nanoseconds.
    func lokiTime(_ name: String) throws(APIFailure) -> Int64? {
        guard let text = self[name] else { return nil }
        guard let time = Timestamps.nanoseconds(loki: text) else {
            throw .invalid(
                name, "\(QuotedText.quoted(text)) is no time; use nanoseconds, seconds with decimals, or RFC 3339")
        }
        return time
    }

    /// A duration of the Loki API, in nanoseconds: seconds with decimals, or a duration with units.
    func lokiDuration(_ name: String) throws(APIFailure) -> Int64? {
        guard let text = self[name] else { return nil }
        if let seconds = FloatText.parse(text), abs(seconds) < 9e9 { return Int64(seconds * 1e9) }
        do {
            return try Durations.nanoseconds(either: text)
        } catch {
            throw .invalid(name, "\(error)")
        }
    }

    /// A whole number that is not negative.
    func count(_ name: String) throws(APIFailure) -> Int? {
        guard let text = self[name] else { return nil }
        guard let value = Int(text), value >= 0 else {
            throw .invalid(name, "cannot parse \(QuotedText.quoted(text)) to a number of 0 or more")
        }
        return value
    }
}
