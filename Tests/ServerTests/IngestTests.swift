import Synchronization
import Telemetry
import TestSupport
import Testing
import Wire

@testable import Server

/// Agents and pushers: what is taken, what is refused, and in which words.
@Suite struct IngestTests {
    private static let agent = String(repeating: "ab", count: 16)

    private func information(_ fixture: ServerFixture) -> AgentInformation {
        AgentInformation(
            agent: IngestTests.agent, node: "web-1", version: "0.1",
            sentNanoseconds: fixture.clock.nowNanoseconds + 2_000_000_000)
    }

    private func delivery(_ sequence: UInt64) -> DeliveryIdentity {
        DeliveryIdentity(
            sender: DeliveryIdentity.Sender(agent: IngestTests.agent, epoch: 1, lane: .live), sequence: sequence)
    }

    private func samples(_ fixture: ServerFixture, _ sequence: UInt64, value: Double = 1) -> AgentBatch {
        var group = SampleGroup(target: Labels(["job": "node"]))
        group.append(
            Labels(["__name__": "load1", "job": "node"]), milliseconds: fixture.clock.nowNanoseconds / 1_000_000,
            value: value)
        return AgentBatch(
            information: information(fixture), delivery: delivery(sequence),
            signal: .samples(SampleBatch(groups: [group], delivery: delivery(sequence)), isUrgent: false))
    }

    private func post(_ fixture: ServerFixture, _ body: [UInt8]) async throws -> (Int, AgentReply, HTTPReply) {
        let type = HTTPField("Content-Type", AgentProtocol.mediaType)
        let reply = try await fixture.send("POST", "/agent/v1/batch", fields: [type], body: body)
        return (reply.status, try AgentReplyCodec.decode(reply.body), reply)
    }

    @Test func storesSamplesAndAnswersWithMarks() async throws {
        let fixture = try await ServerFixture.start()
        var encoder = AgentFrameEncoder()
        let (status, reply, _) = try await post(
            fixture, AgentBatchEncoder.body(of: samples(fixture, 1), with: &encoder))
        #expect(status == 200)
        #expect(reply.verdict == .stored)
        #expect(reply.accepted == 1)
        #expect(reply.marks == DeliveryMarks(synced: 1, archived: 1))
        #expect(try await fixture.text("/api/v1/query", [("query", "load1")]).contains(#","1"]"#))
        // The second batch declares nothing: the server remembers.
        let (_, second, _) = try await post(
            fixture, AgentBatchEncoder.body(of: samples(fixture, 2), with: &encoder))
        #expect(second.verdict == .stored)
        let agents = try JSONValue(parsing: try await fixture.get("/api/v1/agents").body)
        let first = agents["data"]?["agents"]?[0]
        #expect(first?["node"]?.text == "web-1")
        #expect(first?["clockOffsetSeconds"]?.double == 2)
        #expect(first?["batches"]?.wholeNumber == 2)
    }

    @Test func asksForDeclarationsItDoesNotKnow() async throws {
        let fixture = try await ServerFixture.start()
        var encoder = AgentFrameEncoder()
        _ = AgentBatchEncoder.body(of: samples(fixture, 1), with: &encoder)
        let (status, reply, _) = try await post(
            fixture, AgentBatchEncoder.body(of: samples(fixture, 2), with: &encoder))
        #expect(status == 200)
        #expect(reply.verdict == .redeclare)
    }

    @Test func storesEventsAsLines() async throws {
        let fixture = try await ServerFixture.start()
        let event = HostEvent(
            .oomKill, nanoseconds: fixture.clock.nowNanoseconds, source: "kmsg", subject: Labels(["container": "web"]),
            text: "killed")
        var encoder = AgentFrameEncoder()
        let batch = AgentBatch(
            information: information(fixture), delivery: delivery(1), signal: .events([event]))
        let (status, reply, _) = try await post(fixture, AgentBatchEncoder.body(of: batch, with: &encoder))
        #expect(status == 200)
        #expect(reply.accepted == 1)
        let line = try #require(fixture.logs.lines.first)
        #expect(line.labels == EventRecord.stream)
        #expect(try EventRecord.event(parsing: line.text) == event)
    }

    @Test(arguments: [
        (AppendRefusal(.overloaded, "too much", retryAfterSeconds: 7), 429, AgentReply.Verdict.later, 7),
        (AppendRefusal(.unavailable, "disk full"), 503, .later, 5),
        (AppendRefusal(.malformed, "no time"), 400, .refused, 0),
    ])
    func passesOnWhatTheStoreSays(
        refusal: AppendRefusal, status: Int, verdict: AgentReply.Verdict, seconds: Int
    ) async throws {
        let fixture = try await ServerFixture.start()
        fixture.metrics.refusal.withLock { $0 = refusal }
        var encoder = AgentFrameEncoder()
        let (got, reply, whole) = try await post(
            fixture, AgentBatchEncoder.body(of: samples(fixture, 1), with: &encoder))
        #expect(got == status)
        #expect(reply.verdict == verdict)
        #expect(reply.retryAfterSeconds == seconds)
        #expect(reply.reason == refusal.reason)
        #expect(whole.fields["retry-after"] == (seconds == 0 ? nil : String(seconds)))
    }

    @Test func refusesWhatIsNoBatch() async throws {
        let fixture = try await ServerFixture.start()
        for body in [[], [1], [9, 9, 9], Array("{}".utf8), [UInt8](repeating: 0xff, count: 1_000)] {
            let (status, reply, _) = try await post(fixture, body)
            #expect(status == 400)
            #expect(reply.verdict == .refused)
            #expect(!reply.reason.isEmpty)
        }
        var encoder = AgentFrameEncoder()
        let good = AgentBatchEncoder.body(of: samples(fixture, 1), with: &encoder)
        for length in stride(from: 1, to: good.count, by: 7) {
            let (status, _, _) = try await post(fixture, Array(good.prefix(length)))
            #expect(status == 400)
        }
    }

    @Test func refusesABodyThatIsTooLong() async throws {
        let fixture = try await ServerFixture.start()
        let body = [UInt8](repeating: 0, count: AgentProtocol.bodyBytesMaximum + 1)
        let (status, reply, _) = try await post(fixture, body)
        #expect(status == 413)
        #expect(reply.verdict == .refused)
    }

    @Test func takesLokiPushes() async throws {
        let fixture = try await ServerFixture.start()
        let values = #"["1700000000000000000","hello"],["1700000000000000001","world"]"#
        let body = #"{"streams":[{"stream":{"app":"a"},"values":[\#(values)]}]}"#
        let type = HTTPField("Content-Type", "application/json")
        let plain = try await fixture.send("POST", "/loki/api/v1/push", fields: [type], body: Array(body.utf8))
        #expect(plain.status == 204)
        let zipped = Compression.gzip.compress(Array(body.utf8))
        let coded = [type, HTTPField("Content-Encoding", "gzip")]
        #expect(try await fixture.send("POST", "/loki/api/v1/push", fields: coded, body: zipped).status == 204)
        #expect(fixture.logs.lines.count == 4)
        let range = [("start", "1699999999"), ("end", "1700000001")]
        #expect(
            try await fixture.text("/loki/api/v1/labels", range) == #"{"status":"success","data":["app"]}"#)
        #expect(
            try await fixture.text("/loki/api/v1/label/app/values", range) == #"{"status":"success","data":["a"]}"#)
        #expect(
            try await fixture.text("/loki/api/v1/series", range + [("match[]", "{app=\"a\"}")])
                == #"{"status":"success","data":[{"app":"a"}]}"#)
    }

    @Test func refusesPushesInWords() async throws {
        let fixture = try await ServerFixture.start()
        let bad = try await fixture.send("POST", "/loki/api/v1/push", body: Array("nonsense".utf8))
        #expect(bad.status == 400)
        let coding = [HTTPField("Content-Encoding", "br")]
        #expect(try await fixture.send("POST", "/loki/api/v1/push", fields: coding, body: [1]).status == 415)
        let damaged = [HTTPField("Content-Encoding", "gzip")]
        #expect(try await fixture.send("POST", "/loki/api/v1/push", fields: damaged, body: [1, 2, 3]).status == 400)
        fixture.logs.refusal.withLock { $0 = AppendRefusal(.unavailable, "the disk is full") }
        let body = #"{"streams":[{"stream":{"app":"a"},"values":[["1700000000000000000","hello"]]}]}"#
        let full = try await fixture.send("POST", "/loki/api/v1/push", body: Array(body.utf8))
        #expect(full.status == 503)
        #expect(full.text.contains("the disk is full"))
        #expect(full.fields["retry-after"] == "5")
    }

    // MARK: Foreign senders

    private func write(
        _ fixture: ServerFixture, _ body: [UInt8], type: String = "application/x-protobuf", coding: String? = "snappy"
    ) async throws -> HTTPReply {
        var fields = [HTTPField("Content-Type", type)]
        if let coding { fields.append(HTTPField("Content-Encoding", coding)) }
        return try await fixture.send("POST", "/api/v1/write", fields: fields, body: body)
    }

    @Test func takesRemoteWrite() async throws {
        let fixture = try await ServerFixture.start()
        let now = fixture.clock.nowNanoseconds / 1_000_000
        let series = ProtobufWriter.series([("__name__", "load1"), ("job", "n")], [(now, 3)])
        let body = Compression.snappy.compress(ProtobufWriter.message { $0.put(1, series) })
        #expect(try await write(fixture, body).status == 204)
        #expect(try await fixture.text("/api/v1/query", [("query", "load1")]).contains(#","3"]"#))
    }

    @Test func saysWhyARemoteWriteIsNotTaken() async throws {
        let fixture = try await ServerFixture.start()
        let repeated = ProtobufWriter.series([("__name__", "a"), ("x", "1"), ("x", "2")], [(1, 1)])
        let body = Compression.snappy.compress(ProtobufWriter.message { $0.put(1, repeated) })
        let reply = try await write(fixture, body)
        #expect(reply.status == 400)
        #expect(String(decoding: reply.body, as: UTF8.self).hasPrefix("1 samples were not stored, 0 were. 1 of a{"))
        #expect(try await write(fixture, [1, 2, 3]).status == 400)
        #expect(try await write(fixture, body, coding: "zstd").status == 415)
        let second = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
        #expect(try await write(fixture, body, type: second).status == 415)
    }

    @Test func takesLokiPushesInProtobuf() async throws {
        let fixture = try await ServerFixture.start()
        let now = fixture.clock.nowNanoseconds
        let push = ProtobufWriter.push(#"{job="nginx"}"#, [(now, Array("GET /".utf8))])
        let type = HTTPField("Content-Type", "application/x-protobuf")
        let reply = try await fixture.send(
            "POST", "/loki/api/v1/push", fields: [type], body: Compression.snappy.compress(push))
        #expect(reply.status == 204)
        #expect(fixture.logs.lines.count == 1)
        #expect(
            try await fixture.send("POST", "/loki/api/v1/push", fields: [type], body: [9, 9]).status == 400)
    }
}
