internal import Telemetry
internal import Wire

/// Alertmanager's webhook, version 4 of the payload, with an `Idempotency-Key` that stays the same over all attempts.
struct WebhookReceiver: Receiver {
    /// A service that is asked to take a message.
    private let address: WebAddress
    private let authorization: String?
    /// At most this many alerts in one message, 0 for all.
    private let alertsMaximum: Int
    private let timeoutMilliseconds: Int64
    let integration: String
    let sendsResolved: Bool

    /// Small enough for anything that calls itself a webhook; a day is long enough to repair one.
    let limits = DeliveryLimits(burst: 50, perSecond: 10, ageMaximumMilliseconds: 86_400_000)

    init(_ value: YAMLValue, integration: String) throws(ConfigurationError) {
        var fields = try value.mapping()
        let url = try fields.required("url")
        let text = try url.text("an address")
        guard let address = WebAddress(text) else {
            throw url.error("this is no address of a web service: write http://HOST:PORT/PATH or https://…")
        }
        self.address = address
        self.integration = integration
        sendsResolved = try fields.truth("send_resolved") ?? true
        alertsMaximum = Int(try fields.integer("max_alerts", in: 0...1_000_000) ?? 0)
        let timeout = try fields.durationMilliseconds("timeout") ?? 0
        timeoutMilliseconds = timeout == 0 ? 10_000 : timeout
        authorization = try WebhookReceiver.authorization(&fields) ?? address.authorization
        try fields.finish()
    }

    func content(of notification: Notification) -> MessageContent {
        MessageContent(
            contentType: "application/json",
            body: WebhookPayload.encode(notification, alertsMaximum: alertsMaximum))
    }

    func call(_ message: OutboxMessage) -> HTTPCall {
        var fields = [
            HTTPField("Content-Type", message.contentType), HTTPField("User-Agent", "vedette"),
            HTTPField("Idempotency-Key", message.idempotencyKey),
        ]
        if let authorization { fields.append(HTTPField("Authorization", authorization)) }
        return HTTPCall(
            "POST", address.endpoint, address.target, fields: fields, body: message.body,
            timeoutMilliseconds: timeoutMilliseconds, replyBytesMaximum: 1 << 20)
    }

    func verdict(_ reply: HTTPReply) -> DeliveryVerdict { ReplyJudgement.generic(reply) }

    private static func authorization(_ fields: inout YAMLMapping) throws(ConfigurationError) -> String? {
        guard let section = fields.optional("http_config") else { return nil }
        var http = try section.mapping()
        var result: String?
        if let value = http.optional("authorization") {
            var authorization = try value.mapping()
            let kind = try authorization.text("type") ?? "Bearer"
            result = "\(kind) \(try authorization.required("credentials").text("credentials"))"
            try authorization.finish()
        }
        if let value = http.optional("basic_auth") {
            if result != nil { throw value.error("authorization and basic_auth exclude each other: remove one") }
            var basic = try value.mapping()
            let user = try basic.required("username").text("a name")
            let password = try basic.text("password") ?? ""
            result = WebAddress.basic(user, password)
            try basic.finish()
        }
        try http.finish()
        return result
    }
}

/// The payload of Alertmanager's webhook (notify/webhook and template/template.go of Alertmanager 0.28).
enum WebhookPayload {
    /// The bytes of a message; at most `alertsMaximum` alerts (0: all), the rest counted.
    static func encode(_ notification: Notification, alertsMaximum: Int) -> [UInt8] {
        let isCut = alertsMaximum > 0 && notification.alerts.count > alertsMaximum
        let alerts = isCut ? Array(notification.alerts.prefix(alertsMaximum)) : notification.alerts
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("receiver", quotedForRegex(notification.receiver))
        writer.member("status", notification.isFiring ? "firing" : "resolved")
        writer.key("alerts")
        writer.beginArray()
        for alert in alerts { encode(alert, &writer) }
        writer.endArray()
        writer.key("groupLabels")
        writer.labels(notification.groupLabels)
        writer.key("commonLabels")
        writer.labels(notification.commonLabels)
        writer.key("commonAnnotations")
        map(notification.commonAnnotations, &writer)
        writer.member("externalURL", notification.externalURL)
        writer.member("notification_reason", notification.reason.rawValue)
        writer.member("version", "4")
        writer.member("groupKey", notification.groupKey)
        writer.member("truncatedAlerts", notification.alerts.count - alerts.count)
        writer.endObject()
        return writer.bytes
    }

    private static func encode(_ alert: Notification.Alert, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("status", alert.isFiring ? "firing" : "resolved")
        writer.key("labels")
        writer.labels(alert.labels)
        writer.key("annotations")
        map(alert.annotations, &writer)
        writer.member("startsAt", Timestamps.rfc3339(milliseconds: alert.startsAt))
        writer.member("endsAt", alert.endsAt.map { Timestamps.rfc3339(milliseconds: $0) } ?? "0001-01-01T00:00:00Z")
        writer.member("generatorURL", alert.generatorURL)
        writer.member("fingerprint", alert.fingerprint.text)
        writer.endObject()
    }

    private static func map(_ map: [String: String], _ writer: inout JSONWriter) {
        writer.beginObject()
        for (name, text) in map.sorted(by: { $0.key < $1.key }) { writer.member(name, text) }
        writer.endObject()
    }

    /// Go's `regexp.QuoteMeta`, which Alertmanager applies to the receiver's name.
    private static func quotedForRegex(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            if #"\.+*?()|[]{}^$"#.contains(character) { result += "\\" }
            result.append(character)
        }
    }
}
