internal import Query
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

    /// A time of the Prometheus API, in milliseconds; nil when absent.
    func time(_ name: String) throws(APIFailure) -> Int64? {
        guard let text = self[name] else { return nil }
        guard let time = Timestamps.milliseconds(prometheus: text) else {
            throw .invalid(
                name, "invalid time value for '\(name)': cannot parse \(QuotedText.quoted(text)) to a valid timestamp")
        }
        return time
    }

    /// A time of the Prometheus API that must be there.
    func requiredTime(_ name: String) throws(APIFailure) -> Int64 {
        let text = self[name] ?? ""
        guard let time = Timestamps.milliseconds(prometheus: text) else {
            throw .invalid(name, "cannot parse \(QuotedText.quoted(text)) to a valid timestamp")
        }
        return time
    }

    /// A duration of the Prometheus API, in milliseconds: seconds with decimals, or a duration with units.
    func duration(_ name: String) throws(APIFailure) -> Int64? { self[name] == nil ? nil : try requiredDuration(name) }

    /// A duration of the Prometheus API that must be there.
    func requiredDuration(_ name: String) throws(APIFailure) -> Int64 {
        do throws(UnreadableDuration) {
            return try duration(of: self[name] ?? "")
        } catch {
            throw .invalid(name, error.description)
        }
    }

    /// How far back to look for samples; nil when the request leaves that to the server.
    func lookback() throws(APIFailure) -> Int64? {
        guard let text = self["lookback_delta"] else { return nil }
        do throws(UnreadableDuration) {
            // None, or less, is the server's own, as in Prometheus.
            let milliseconds = try duration(of: text)
            return milliseconds > 0 ? milliseconds : nil
        } catch {
            throw APIFailure(.badData, "error parsing lookback delta duration: \(error)")
        }
    }

    private struct UnreadableDuration: Error, CustomStringConvertible {
        var text: String
        var overflows = false
        var description: String {
            "cannot parse \(QuotedText.quoted(text)) to a valid duration" + (overflows ? ". It overflows int64" : "")
        }
    }

    private func duration(of text: String) throws(UnreadableDuration) -> Int64 {
        if let seconds = FloatText.parse(text) {
            // Go counts nanoseconds in 64 bits.
            guard abs(seconds * 1e9) <= 0x1p63 else { throw UnreadableDuration(text: text, overflows: true) }
            return Int64(seconds * 1_000)
        }
        do {
            return try Durations.milliseconds(prometheus: text)
        } catch {
            throw UnreadableDuration(text: text)
        }
    }

    /// The most results wanted; 0 for no limit. In the words of Go's `strconv.Atoi` where it is none.
    func limit() throws(APIFailure) -> Int {
        guard let text = self["limit"] else { return 0 }
        guard let value = Int(text) else {
            throw .invalid("limit", "strconv.Atoi: parsing \(QuotedText.quoted(text)): invalid syntax")
        }
        guard value >= 0 else { throw .invalid("limit", "limit must be non-negative") }
        return value
    }

    /// A whole number that must be one, negative ones stand for no limit; nil when absent.
    func number(_ name: String) throws(APIFailure) -> Int? {
        guard let text = self[name] else { return nil }
        guard let value = Int(text) else { throw APIFailure(.badData, "\(name) must be a number") }
        return value < 0 ? nil : value
    }

    /// The selectors of `match[]`. An error names the parameter only where Prometheus does: in `/series`.
    func matcherSets(namesParameter: Bool = false) throws(APIFailure) -> [[LabelMatcher]] {
        func failure(_ reason: String) -> APIFailure {
            namesParameter ? .invalid("match[]", reason) : APIFailure(.badData, reason)
        }
        var sets: [[LabelMatcher]] = []
        for selector in all("match[]") {
            do {
                sets.append(try Engine.matchers(selector))
            } catch {
                throw failure(error.description)
            }
        }
        guard sets.allSatisfy({ $0.contains { !$0.matchesAbsence } }) else {
            throw failure("match[] must contain at least one non-empty matcher")
        }
        return sets
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
