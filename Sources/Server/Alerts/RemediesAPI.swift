internal import Alerting
internal import Telemetry
internal import Transport
internal import Wire

/// `/api/v1/remedies…`: what may be done by itself, what was done, and the two levers people have.
struct RemediesAPI: Sendable {
    let dependencies: ServerDependencies

    /// All remedies.
    func list(_ request: ServerRequest) async throws -> ListenerResponse {
        let remedies = dependencies.alerting.remedies()
        let bytes = PrometheusAnswer.success { writer in
            writer.beginObject()
            writer.key("remedies")
            writer.beginArray()
            for remedy in remedies { RemediesAPI.write(remedy, &writer) }
            writer.endArray()
            writer.endObject()
        }
        return .compressedJSON(bytes, acceptsGzip: request.acceptsGzip)
    }

    private static func write(_ remedy: RemedyStatus, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("name", remedy.name)
        writer.member("file", remedy.file)
        writer.member("mode", remedy.mode)
        let suspended = remedy.suspensions.isEmpty ? "ready" : "suspended for \(remedy.suspensions.count) targets"
        writer.member("state", remedy.isPaused ? "paused by \(remedy.pausedBy)" : suspended)
        writer.member("action", remedy.actions.joined(separator: ", "))
        for (name, texts) in [("match", remedy.match), ("actions", remedy.actions)] {
            writer.key(name)
            writer.beginArray()
            for text in texts { writer.string(text) }
            writer.endArray()
        }
        writer.member("paused", remedy.isPaused)
        writer.member("pausedBy", remedy.pausedBy)
        writer.key("suspensions")
        writer.beginArray()
        for suspension in remedy.suspensions {
            writer.beginObject()
            writer.member("target", suspension.target)
            writer.member("reason", suspension.reason)
            writer.member("at", Timestamps.rfc3339(milliseconds: suspension.milliseconds))
            writer.endObject()
        }
        writer.endArray()
        writer.key("outcomes")
        writer.beginObject()
        for (state, count) in remedy.outcomes.sorted(by: { $0.key < $1.key }) { writer.member(state, count) }
        writer.endObject()
        writer.endObject()
    }

    /// All actions, newest first.
    func history(_ request: ServerRequest) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        let limit = try parameters.count("limit") ?? 1_000
        let remedy = parameters["remedy"]
        let actions = dependencies.alerting.actions().filter { remedy == nil || $0.remedy == remedy }.prefix(limit)
        let bytes = PrometheusAnswer.success { writer in
            writer.beginObject()
            writer.key("actions")
            writer.beginArray()
            for action in actions { RemediesAPI.write(action, &writer) }
            writer.endArray()
            writer.endObject()
        }
        return .compressedJSON(bytes, acceptsGzip: request.acceptsGzip)
    }

    private static func write(_ action: ActionStatus, _ writer: inout JSONWriter) {
        writer.beginObject()
        for (name, text) in [
            ("id", action.id), ("remedy", action.remedy), ("action", action.action), ("target", action.target),
            ("node", action.node), ("mode", action.mode), ("state", action.state), ("reason", action.reason),
            ("proposedAt", Timestamps.rfc3339(milliseconds: action.createdMilliseconds)),
            ("alertFingerprint", action.alertFingerprint), ("evidencePath", action.evidencePath),
            ("evidenceHash", action.evidenceHash),
        ] {
            writer.member(name, text)
        }
        writer.member("rung", action.rung)
        writer.key("alertLabels")
        writer.labels(action.alertLabels)
        writer.key("history")
        writer.beginArray()
        for step in action.history {
            writer.beginObject()
            writer.member("at", Timestamps.rfc3339(milliseconds: step.milliseconds))
            writer.member("state", step.state)
            writer.member("text", step.text)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
    }

    /// Lets an action go on that waits for approval.
    func approve(_ request: ServerRequest) async throws -> ListenerResponse {
        let id = request.capture("name")
        do {
            try dependencies.alerting.approve(id, by: request.person)
        } catch {
            throw APIFailure(.badData, error.description)
        }
        try await dependencies.alerting.settle()
        return .json(PrometheusAnswer.success { $0.null() })
    }

    /// Stops a remedy from acting, or with `paused=false` lets it act again.
    func pause(_ request: ServerRequest) async throws -> ListenerResponse {
        let name = request.capture("name")
        let paused = try await request.parameters()["paused"] ?? "true"
        do {
            switch paused {
            case "true": try dependencies.alerting.pause(name, by: request.person)
            case "false": try dependencies.alerting.resume(name, by: request.person)
            default: throw APIFailure.invalid("paused", "use true or false")
            }
        } catch let error as AlertingRequestError {
            throw APIFailure(.badData, error.description)
        }
        try await dependencies.alerting.settle()
        return .json(PrometheusAnswer.success { $0.null() })
    }
}

extension ServerRequest {
    /// Who is written down as having asked.
    var person: String { "\(principal.name) from \(listener.remoteAddress)" }
}
