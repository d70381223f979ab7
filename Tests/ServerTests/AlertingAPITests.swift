import Alerting
import Telemetry
import TestSupport
import Testing
import Wire

@testable import Server

/// Rules, alerts, silences, remedies and the way of a command to its agent.
@Suite struct AlertingAPITests {
    private static let agent = String(repeating: "cd", count: 16)
    private static let container = String(repeating: "f", count: 64)

    /// Sends the sample of an OOM kill, as an agent does: urgent.
    private func sendKill(_ fixture: ServerFixture) async throws {
        let delivery = DeliveryIdentity(
            sender: DeliveryIdentity.Sender(agent: AlertingAPITests.agent, epoch: 1, lane: .event), sequence: 1)
        var group = SampleGroup()
        group.append(
            Labels([
                "__name__": "container_oom_events_total", "name": "web", "id": AlertingAPITests.container,
                "container_id": AlertingAPITests.container, "node": "web-1",
            ]), milliseconds: fixture.clock.nowNanoseconds / 1_000_000, value: 1)
        let information = AgentInformation(
            agent: AlertingAPITests.agent, node: "web-1", version: "1", sentNanoseconds: fixture.clock.nowNanoseconds)
        let batch = AgentBatch(
            information: information, delivery: delivery,
            signal: .samples(SampleBatch(groups: [group], delivery: delivery), isUrgent: true))
        var encoder = AgentFrameEncoder()
        let body = AgentBatchEncoder.body(of: batch, with: &encoder)
        #expect(try await fixture.send("POST", "/agent/v1/batch", body: body).status == 200)
    }

    private func json(_ fixture: ServerFixture, _ path: String) async throws -> JSONValue {
        let reply = try await fixture.get(path)
        #expect(reply.status == 200, "\(reply.text)")
        return try JSONValue(parsing: reply.body)["data"] ?? .null
    }

    @Test func listsRulesAsPrometheusDoes() async throws {
        let fixture = try await ServerFixture.start()
        let group = try await json(fixture, "/api/v1/rules")["groups"]?[0]
        #expect(group?["name"]?.text == "containers")
        #expect(group?["file"]?.text == "rules/containers.yml")
        #expect(group?["interval"]?.double == 1)
        #expect(group?["rules"]?[0]?["type"]?.text == "recording")
        let rule = group?["rules"]?[1]
        #expect(rule?["type"]?.text == "alerting")
        #expect(rule?["state"]?.text == "inactive")
        #expect(rule?["health"]?.text == "unknown")
        #expect(rule?["labels"]?["severity"]?.text == "page")
        #expect(rule?["annotations"]?["summary"]?.text == "{{ $labels.name }} ran out of memory")
        let recording = try await json(fixture, "/api/v1/rules?type=record")["groups"]?[0]?["rules"]?.elements
        #expect(recording?.count == 1)
        #expect(try await fixture.get("/api/v1/rules", [("type", "x")]).status == 400)
        #expect(try await json(fixture, "/api/v1/alerts")["alerts"]?.elements?.isEmpty == true)
    }

    @Test func anUrgentSampleWakesItsRuleAndTheAlertWaitsForApproval() async throws {
        let fixture = try await ServerFixture.start()
        let running = Task { await fixture.alerting.run() }
        defer { running.cancel() }
        try await sendKill(fixture)
        var alerts: [JSONValue] = []
        while alerts.isEmpty { alerts = try await json(fixture, "/api/v1/alerts")["alerts"]?.elements ?? [] }
        #expect(alerts[0]["state"]?.text == "firing")
        #expect(alerts[0]["labels"]?["alertname"]?.text == "ContainerOOMKilled")
        #expect(alerts[0]["annotations"]?["summary"]?.text == "web ran out of memory")
        #expect(alerts[0]["value"]?.text == "1e+00")
        #expect(Timestamps.nanoseconds(rfc3339: alerts[0]["activeAt"]?.text ?? "") != nil)

        var action: JSONValue?
        while action == nil {
            action = try await json(fixture, "/api/v1/remedies/history")["actions"]?[0]
        }
        #expect(action?["remedy"]?.text == "restart-after-oom")
        #expect(action?["action"]?.text == "container.restart")
        #expect(action?["id"]?.text?.isEmpty == false)
        #expect(Timestamps.nanoseconds(rfc3339: action?["proposedAt"]?.text ?? "") != nil)
        #expect(try await fixture.text("/metrics").contains("vedette_alerts{state=\"firing\"} 1"))
    }

    @Test func silencesComeAndGo() async throws {
        let fixture = try await ServerFixture.start()
        let wish = """
            {"matchers":[{"name":"alertname","value":"Container.*","isRegex":true}],"endsAt":"2099-01-01T00:00:00Z",
             "comment":"maintenance"}
            """
        let made = try await fixture.send("POST", "/api/v1/silences", body: Array(wish.utf8))
        #expect(made.status == 200, "\(made.text)")
        let id = try #require(try JSONValue(parsing: made.body)["data"]?["silenceID"]?.text)
        let silence = try await json(fixture, "/api/v1/silences")[0]
        #expect(silence?["id"]?.text == id)
        #expect(silence?["status"]?["state"]?.text == "active")
        #expect(silence?["createdBy"]?.text == "local")
        #expect(silence?["matchers"]?[0]?["isRegex"]?.truth == true)
        #expect(try await fixture.send("DELETE", "/api/v1/silences/\(id)").status == 200)
        #expect(try await json(fixture, "/api/v1/silences")[0]?["status"]?["state"]?.text == "expired")
        #expect(try await fixture.send("DELETE", "/api/v1/silences/none").status == 404)
    }

    @Test(arguments: [
        "", "[]", "{\"matchers\":[]}", "{\"matchers\":[{\"name\":\"a\"}]}",
        "{\"matchers\":[{\"name\":\"a\",\"value\":\"(\",\"isRegex\":true}],\"endsAt\":\"2099-01-01T00:00:00Z\"}",
        "{\"matchers\":[{\"name\":\"a\",\"value\":\"b\"}],\"endsAt\":\"soon\",\"comment\":\"c\"}",
        "{\"matchers\":[{\"name\":\"a\",\"value\":\"b\"}],\"endsAt\":\"2001-01-01T00:00:00Z\",\"comment\":\"c\"}",
    ])
    func refusesSilencesInWords(body: String) async throws {
        let fixture = try await ServerFixture.start()
        let reply = try await fixture.send("POST", "/api/v1/silences", body: Array(body.utf8))
        #expect(reply.status == 400)
        #expect(try JSONValue(parsing: reply.body)["error"]?.text?.isEmpty == false)
    }

    @Test func remediesCanBePausedAndResumed() async throws {
        let fixture = try await ServerFixture.start()
        var remedy = try await json(fixture, "/api/v1/remedies")["remedies"]?[0]
        #expect(remedy?["name"]?.text == "restart-after-oom")
        #expect(remedy?["mode"]?.text == "approve")
        #expect(remedy?["action"]?.text == "container.restart")
        #expect(remedy?["match"]?[0]?.text == "alertname=\"ContainerOOMKilled\"")
        #expect(try await fixture.post("/api/v1/remedies/restart-after-oom/pause", [("paused", "true")]).status == 200)
        remedy = try await json(fixture, "/api/v1/remedies")["remedies"]?[0]
        #expect(remedy?["paused"]?.truth == true)
        #expect(remedy?["state"]?.text?.hasPrefix("paused by local from 127.0.0.1:") == true)
        #expect(try await fixture.post("/api/v1/remedies/restart-after-oom/pause", [("paused", "false")]).status == 200)
        #expect(try await fixture.post("/api/v1/remedies/restart-after-oom/pause", [("paused", "x")]).status == 400)
        #expect(try await fixture.post("/api/v1/remedies/unknown/pause").status == 400)
        #expect(try await fixture.post("/api/v1/remedies/unknown/approve").status == 400)
    }

    @Test func commandsAreWaitedForAndLetGoWhenTheServerLeaves() async throws {
        let fixture = try await ServerFixture.start()
        let path = "/agent/v1/commands?agent=\(AlertingAPITests.agent)"
        let none = try await fixture.get(path)
        #expect(none.status == 200)
        #expect(try AgentCommandCodec.decode(none.body).isEmpty)
        #expect(try await fixture.get("/agent/v1/commands").status == 400)
        #expect(try await fixture.get("/agent/v1/commands?agent=x").status == 400)
        let poll = Task { try await fixture.get(path + "&wait=30s") }
        while !(try await fixture.text("/metrics")).contains("vedette_agents_waiting 1\n") { await Task.yield() }
        await fixture.server.shutdown(deadlineMilliseconds: 5_000)
        #expect(try await poll.value.status == 200)
    }

    @Test func reportsAreTaken() async throws {
        let fixture = try await ServerFixture.start()
        let report = CommandReport(id: "a", outcome: .done, reason: "restarted", nanoseconds: 1)
        let path = "/agent/v1/reports?agent=\(AlertingAPITests.agent)"
        let reply = try await fixture.send("POST", path, body: CommandReportCodec.encode([report]))
        #expect(reply.status == 204)
        let named = [HTTPField("X-Vedette-Agent", AlertingAPITests.agent)]
        let body = CommandReportCodec.encode([report])
        #expect(try await fixture.send("POST", "/agent/v1/reports", fields: named, body: body).status == 204)
        #expect(try await fixture.send("POST", "/agent/v1/reports", body: body).status == 400)
        #expect(try await fixture.send("POST", path, body: [1, 2, 3]).status == 400)
    }
}
