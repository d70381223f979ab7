import Telemetry
import Testing
import Wire

@testable import Alerting

/// What goes over the wire is Alertmanager's webhook, version 4.
@Suite struct WebhookTests {
    private static let notification = Notification(
        receiver: "team.x", groupKey: "{}/{severity=\"page\"}:{alertname=\"Down\"}",
        groupLabels: Labels(["alertname": "Down"]), reason: .newAlerts,
        alerts: [
            Notification.Alert(
                labels: Labels(["alertname": "Down", "instance": "a", "severity": "page"]),
                annotations: ["summary": "a is \"down\"", "runbook": "x"], startsAt: 1_700_000_000_500, endsAt: nil,
                generatorURL: "http://v/alerts"),
            Notification.Alert(
                labels: Labels(["alertname": "Down", "instance": "b", "severity": "page"]),
                annotations: ["summary": "b", "runbook": "x"], startsAt: 1_700_000_000_000, endsAt: 1_700_000_060_000,
                generatorURL: "http://v/alerts"),
        ], externalURL: "http://v")

    @Test func thePayloadIsAlertmanagersToTheLetter() {
        let text = String(decoding: WebhookPayload.encode(WebhookTests.notification, alertsMaximum: 0), as: UTF8.self)
        let first = WebhookTests.fnv([("alertname", "Down"), ("instance", "a"), ("severity", "page")])
        let second = WebhookTests.fnv([("alertname", "Down"), ("instance", "b"), ("severity", "page")])
        let pieces = [
            #"{"receiver":"team\\.x","status":"firing","alerts":["#,
            #"{"status":"firing","labels":{"alertname":"Down","instance":"a","severity":"page"},"#,
            #""annotations":{"runbook":"x","summary":"a is \"down\""},"startsAt":"2023-11-14T22:13:20.5Z","#,
            #""endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://v/alerts","fingerprint":"\#(first)"},"#,
            #"{"status":"resolved","labels":{"alertname":"Down","instance":"b","severity":"page"},"#,
            #""annotations":{"runbook":"x","summary":"b"},"startsAt":"2023-11-14T22:13:20Z","#,
            #""endsAt":"2023-11-14T22:14:20Z","generatorURL":"http://v/alerts","fingerprint":"\#(second)"}],"#,
            #""groupLabels":{"alertname":"Down"},"commonLabels":{"alertname":"Down","severity":"page"},"#,
            #""commonAnnotations":{"runbook":"x"},"externalURL":"http://v","notification_reason":"new_alerts_in_group","#,
            #""version":"4","groupKey":"{}/{severity=\"page\"}:{alertname=\"Down\"}","truncatedAlerts":0}"#,
        ]
        #expect(text == pieces.joined())
    }

    @Test func fingerprintsAreAlertmanagers() {
        #expect(Fingerprint(.empty).text == "cbf29ce484222325")
        #expect(Fingerprint(Labels(["a": "b"])).text == WebhookTests.fnv([("a", "b")]))
    }

    /// FNV-1a written out once more from its definition.
    private static func fnv(_ pairs: [(String, String)]) -> String {
        var hash: UInt64 = 14_695_981_039_346_656_037
        for (name, value) in pairs {
            for byte in Array(name.utf8) + [255] + Array(value.utf8) + [255] {
                hash ^= UInt64(byte)
                hash = hash &* 1_099_511_628_211
            }
        }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    @Test func aLongMessageIsCutAndSaysSo() throws {
        let value = try JSONValue(parsing: WebhookPayload.encode(WebhookTests.notification, alertsMaximum: 1))
        #expect(value["alerts"]?.elements?.count == 1)
        #expect(value["truncatedAlerts"]?.wholeNumber == 1)
        // What is common is common to all, also to those left out.
        #expect(value["commonLabels"]?.members?.map(\.key) == ["alertname", "severity"])
    }

    @Test func theCallCarriesKeyAndCredentials() throws {
        let configuration = try Fixtures.notify(
            """
            alerting:
              route: {receiver: chat}
              receivers:
                - name: chat
                  webhook_configs:
                    - url: https://user:secret@gate.example:8443/hook/x?token=abc
                      send_resolved: false
                      timeout: 3s
                    - url: http://[2001:db8::1]/y
                      http_config: {authorization: {credentials: T0K}}
            """)
        let receivers = try #require(configuration.receivers["chat"])
        #expect(receivers.map(\.integration) == ["webhook[0]", "webhook[1]"])
        #expect(receivers.map(\.sendsResolved) == [false, true])
        let content = receivers[0].content(of: WebhookTests.notification)
        let lane = OutboxLane(groupKey: "g", receiver: "chat", integration: "webhook[0]")
        let message = OutboxMessage(
            idempotencyKey: "inst-7", lane: lane, status: "firing", reason: "", createdAt: 0, deadline: 1,
            content: content, alerts: [])
        let call = receivers[0].call(message)
        #expect(call.endpoint == HTTPEndpoint(.tls(host: "gate.example", port: 8443)))
        #expect(call.target == "/hook/x?token=abc")
        #expect(call.fields["idempotency-key"] == "inst-7")
        #expect(call.fields["content-type"] == "application/json")
        #expect(call.fields["authorization"] == "Basic dXNlcjpzZWNyZXQ=")
        #expect(call.timeoutMilliseconds == 3000)
        #expect(call.body == content.body)
        let other = receivers[1].call(message)
        #expect(other.endpoint == HTTPEndpoint(.tcp(host: "2001:db8::1", port: 80)))
        #expect(other.fields["authorization"] == "Bearer T0K")
    }

    @Test(arguments: [
        ("http://h", "/"), ("http://h:81/p", "/p"), ("https://h/p?q#f", "/p?q"), ("http://h?q=1", "/?q=1"),
    ])
    func addressesAreReadAsPeopleWriteThem(_ text: String, _ target: String) {
        #expect(WebAddress(text)?.target == target)
    }

    @Test(arguments: [
        "h:80", "ftp://h", "http://", "http://h:0", "http://h:99999", "http://h/a b", "http://[::1", "http://:80",
    ])
    func whatIsNoAddressIsRefused(_ text: String) {
        #expect(WebAddress(text) == nil)
    }

    @Test(arguments: [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")])
    func credentialsAreBase64(_ text: String, _ expected: String) {
        // "users:" is six bytes, so what follows begins a new group.
        #expect(WebAddress.basic("users", text) == "Basic dXNlcnM6" + expected)
    }
}
