internal import Alerting
internal import Telemetry
internal import Transport
internal import Wire

/// `/api/v1/silences`: list, make, change and end silences, with Alertmanager's names for the fields.
struct SilencesAPI: Sendable {
    let dependencies: ServerDependencies

    private static let bodyBytesMaximum = 1 << 20

    /// All silences that are kept, newest first.
    func list(_ request: ServerRequest) async throws -> ListenerResponse {
        let now = dependencies.wallClock.nowMilliseconds
        let silences = dependencies.alerting.silences()
        let bytes = PrometheusAnswer.success { writer in
            writer.beginArray()
            for silence in silences { SilencesAPI.write(silence, now, &writer) }
            writer.endArray()
        }
        return .compressedJSON(bytes, acceptsGzip: request.acceptsGzip)
    }

    private static func write(_ silence: Silence, _ now: Int64, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("id", silence.id)
        writer.key("status")
        writer.beginObject()
        writer.member("state", silence.state(at: now).rawValue)
        writer.endObject()
        writer.key("matchers")
        writer.beginArray()
        for matcher in silence.matchers {
            writer.beginObject()
            writer.member("name", matcher.name)
            writer.member("value", matcher.value)
            writer.member("isRegex", matcher.operation == .matchesRegex || matcher.operation == .notMatchesRegex)
            writer.member("isEqual", matcher.operation == .equal || matcher.operation == .matchesRegex)
            writer.endObject()
        }
        writer.endArray()
        writer.member("startsAt", Timestamps.rfc3339(milliseconds: silence.startsAtMilliseconds))
        writer.member("endsAt", Timestamps.rfc3339(milliseconds: silence.endsAtMilliseconds))
        writer.member("updatedAt", Timestamps.rfc3339(milliseconds: silence.updatedAtMilliseconds))
        writer.member("createdBy", silence.createdBy)
        writer.member("comment", silence.comment)
        writer.endObject()
    }

    /// Makes a silence, or changes the one whose `id` is given.
    func set(_ request: ServerRequest) async throws -> ListenerResponse {
        let body = try await request.body(upTo: SilencesAPI.bodyBytesMaximum)
        let value: JSONValue
        do {
            value = try JSONValue(parsing: body)
        } catch {
            throw APIFailure(.badData, "the body is not JSON: \(error)")
        }
        let now = dependencies.wallClock.nowMilliseconds
        let wish = SilenceRequest(
            id: value["id"]?.text.flatMap { $0.isEmpty ? nil : $0 }, matchers: try SilencesAPI.matchers(value),
            startsAtMilliseconds: try SilencesAPI.time(value, "startsAt") ?? now,
            endsAtMilliseconds: try SilencesAPI.time(value, "endsAt") ?? 0,
            createdBy: value["createdBy"]?.text ?? request.principal.name, comment: value["comment"]?.text ?? "")
        let id: String
        do {
            id = try dependencies.alerting.setSilence(wish)
        } catch {
            throw APIFailure(.badData, error.description)
        }
        try await dependencies.alerting.settle()
        return .json(
            PrometheusAnswer.success { writer in
                writer.beginObject()
                writer.member("silenceID", id)
                writer.endObject()
            })
    }

    private static func matchers(_ value: JSONValue) throws -> [LabelMatcher] {
        guard let elements = value["matchers"]?.elements else {
            throw APIFailure(.badData, "matchers: a list of {name, value, isRegex, isEqual} is missing")
        }
        return try elements.map { element in
            guard let name = element["name"]?.text, let text = element["value"]?.text, !name.isEmpty else {
                throw APIFailure(.badData, "matchers: each needs a name and a value")
            }
            let isEqual = element["isEqual"]?.truth ?? true
            let isRegex = element["isRegex"]?.truth ?? false
            let operation: LabelMatcher.Operation =
                isRegex ? (isEqual ? .matchesRegex : .notMatchesRegex) : (isEqual ? .equal : .notEqual)
            return try LabelMatcher(name, operation, text)
        }
    }

    private static func time(_ value: JSONValue, _ name: String) throws(APIFailure) -> Int64? {
        guard let text = value[name]?.text else { return nil }
        guard let nanoseconds = Timestamps.nanoseconds(rfc3339: text) else {
            throw APIFailure(.badData, "\(name): \(QuotedText.quoted(text)) is no time; write 2026-01-31T08:00:00Z")
        }
        return nanoseconds / 1_000_000
    }

    /// Ends a silence now.
    func expire(_ request: ServerRequest) async throws -> ListenerResponse {
        do {
            try dependencies.alerting.expireSilence(request.capture("id"), by: request.person)
        } catch {
            throw APIFailure(.notFound, error.description)
        }
        try await dependencies.alerting.settle()
        return .json(PrometheusAnswer.success { $0.null() })
    }
}
