internal import Alerting
internal import Query
internal import Telemetry
internal import Transport
internal import Wire

/// `/api/v1/rules` and `/api/v1/alerts` as Prometheus has them, and `/api/v1/notifications`: who was told, and when.
struct AlertsAPI: Sendable {
    let dependencies: ServerDependencies

    /// The rules that were asked for, with their alerts.
    func rules(_ request: ServerRequest) async throws -> ListenerResponse {
        let listing = try RuleListing(await request.parameters())
        let page = try listing.page(of: dependencies.alerting.ruleGroups())
        let bytes = PrometheusAnswer.success { writer in
            writer.beginObject()
            writer.key("groups")
            writer.beginArray()
            for group in page.groups { AlertsAPI.write(group, excludesAlerts: listing.excludesAlerts, &writer) }
            writer.endArray()
            if let token = page.nextToken { writer.member("groupNextToken", token) }
            writer.endObject()
        }
        return .compressedJSON(bytes, acceptsGzip: request.acceptsGzip)
    }

    private static func write(_ group: RuleGroupStatus, excludesAlerts: Bool, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("name", group.name)
        writer.member("file", group.file)
        writer.key("rules")
        writer.beginArray()
        for rule in group.rules { write(rule, excludesAlerts: excludesAlerts, &writer) }
        writer.endArray()
        writer.key("interval")
        writer.number(Double(group.intervalMilliseconds) / 1_000)
        writer.member("limit", group.limit)
        writer.key("evaluationTime")
        writer.number(Double(group.evaluationNanoseconds) / 1e9)
        writer.member("lastEvaluation", time(group.lastEvaluationMilliseconds))
        writer.member("missedIterations", group.missedIterations)
        writer.endObject()
    }

    private static func write(_ rule: RuleStatus, excludesAlerts: Bool, _ writer: inout JSONWriter) {
        writer.beginObject()
        if rule.kind == .alerting { writer.member("state", rule.state.name) }
        writer.member("name", rule.name)
        // As Prometheus: the canonical text. A rule over logs stays as it was written.
        writer.member("query", (try? Engine.parse(rule.query))?.description ?? rule.query)
        if rule.kind == .alerting {
            writer.key("duration")
            writer.number(Double(rule.forMilliseconds) / 1_000)
            writer.key("keepFiringFor")
            writer.number(Double(rule.keepFiringForMilliseconds) / 1_000)
        }
        write("labels", rule.labels, &writer)
        if rule.kind == .alerting {
            write("annotations", rule.annotations, &writer)
            writer.key("alerts")
            if excludesAlerts {
                writer.null()
            } else {
                writer.beginArray()
                for alert in rule.alerts { write(alert, &writer) }
                writer.endArray()
            }
        }
        writer.member("health", rule.health.rawValue)
        if !rule.lastError.isEmpty { writer.member("lastError", rule.lastError) }
        writer.key("evaluationTime")
        writer.number(Double(rule.evaluationNanoseconds) / 1e9)
        writer.member("lastEvaluation", time(rule.lastEvaluationMilliseconds))
        writer.member("matches", rule.matchCount)
        writer.member("type", rule.kind.rawValue)
        writer.endObject()
    }

    /// All pending and firing alerts.
    func alerts(_ request: ServerRequest) async throws -> ListenerResponse {
        let alerts = dependencies.alerting.alerts()
        let bytes = PrometheusAnswer.success { writer in
            writer.beginObject()
            writer.key("alerts")
            writer.beginArray()
            for alert in alerts { AlertsAPI.write(alert, &writer) }
            writer.endArray()
            writer.endObject()
        }
        return .compressedJSON(bytes, acceptsGzip: request.acceptsGzip)
    }

    private static func write(_ alert: AlertStatus, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("labels")
        writer.labels(alert.labels)
        write("annotations", alert.annotations, &writer)
        writer.member("state", alert.state.name)
        writer.member("activeAt", Timestamps.rfc3339(milliseconds: alert.activeAtMilliseconds))
        writer.member("value", FloatText.exponential(alert.value))
        for (name, milliseconds) in [
            ("keepFiringSince", alert.keepFiringSinceMilliseconds), ("firedAt", alert.firedAtMilliseconds),
            ("noDataSince", alert.noDataSinceMilliseconds),
        ] {
            if let milliseconds { writer.member(name, Timestamps.rfc3339(milliseconds: milliseconds)) }
        }
        writer.member("fingerprint", alert.fingerprint)
        write("receivers", alert.receivers, &writer)
        write("silencedBy", alert.silencedBy, &writer)
        write("inhibitedBy", alert.inhibitedBy, &writer)
        writer.endObject()
    }

    /// Every message to a receiver, newest first, with what became of it.
    func notifications(_ request: ServerRequest) async throws -> ListenerResponse {
        let limit = try await request.parameters().count("limit") ?? 1_000
        let deliveries = dependencies.alerting.deliveries().prefix(limit)
        let bytes = PrometheusAnswer.success { writer in
            writer.beginObject()
            writer.key("notifications")
            writer.beginArray()
            for delivery in deliveries { AlertsAPI.write(delivery, &writer) }
            writer.endArray()
            writer.endObject()
        }
        return .compressedJSON(bytes, acceptsGzip: request.acceptsGzip)
    }

    private static func write(_ delivery: DeliveryStatus, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("idempotencyKey", delivery.idempotencyKey)
        writer.member("receiver", delivery.receiver)
        writer.member("integration", delivery.integration)
        writer.member("groupKey", delivery.groupKey)
        writer.member("status", delivery.status)
        writer.member("reason", delivery.reason)
        writer.member("createdAt", Timestamps.rfc3339(milliseconds: delivery.createdMilliseconds))
        writer.member("state", delivery.state.rawValue)
        writer.key("attempts")
        writer.beginArray()
        for attempt in delivery.attempts {
            writer.beginObject()
            writer.member("at", Timestamps.rfc3339(milliseconds: attempt.milliseconds))
            writer.member("verdict", attempt.verdict)
            writer.member("detail", attempt.detail)
            writer.endObject()
        }
        writer.endArray()
        writer.member("attemptsForgotten", delivery.attemptsForgotten)
        if let next = delivery.nextAttemptMilliseconds {
            writer.member("nextAttemptAt", Timestamps.rfc3339(milliseconds: next))
        }
        writer.key("alerts")
        writer.beginArray()
        for alert in delivery.alerts { writer.labels(alert) }
        writer.endArray()
        writer.endObject()
    }

    /// Go's zero time stands for "never" in this API.
    private static func time(_ milliseconds: Int64?) -> String {
        milliseconds.map { Timestamps.rfc3339(milliseconds: $0) } ?? "0001-01-01T00:00:00Z"
    }

    private static func write(_ name: String, _ texts: [String: String], _ writer: inout JSONWriter) {
        writer.key(name)
        writer.beginObject()
        for (key, text) in texts.sorted(by: { $0.key < $1.key }) { writer.member(key, text) }
        writer.endObject()
    }

    private static func write(_ name: String, _ texts: [String], _ writer: inout JSONWriter) {
        writer.key(name)
        writer.beginArray()
        for text in texts { writer.string(text) }
        writer.endArray()
    }
}
