import Synchronization
import Telemetry
import TestSupport
import Testing
import Transport
import Wire

@testable import Server

/// Nodes that join over the wire, and what becomes of those who pretend.
@Suite struct EnrolledServerTests {
    /// A server over TLS with an authority of its own. Its clock is the real one: TLS knows no other.
    struct Stage {
        let fixture: ServerFixture
        let authority: CertificateAuthority
        let enrolment: AgentEnrolment
        let log: Log

        final class Log: Sendable {
            let entries = Mutex<[ServerLogEntry]>([])
            var text: String { entries.withLock { $0.map { "\($0.message) \($0.fields)" }.joined(separator: "\n") } }
        }

        init() async throws {
            let clock = SystemWallClock()
            let now = clock.nowNanoseconds
            let day: Int64 = 86_400_000_000_000
            let validity = CertificateValidity(startNanoseconds: now - day, endNanoseconds: now + day)
            let authority = try CertificateAuthority.make(name: "test", validity: validity)
            var identity = try authority.serverIdentity(names: ["127.0.0.1"], validity: validity)
            identity.agentAuthorities = authority.certificatePEM
            let enrolment = try AgentEnrolment(
                nil, authority: authority,
                ports: AgentEnrolment.Ports(
                    wallClock: clock, certificateNanoseconds: 3_600_000_000_000, trust: authority.certificatePEM
                ) { _ in })
            let log = Log()
            fixture = try await ServerFixture.start(tls: identity) { dependencies in
                dependencies.enrolment = enrolment
                dependencies.wallClock = clock
                dependencies.log = { entry in log.entries.withLock { $0.append(entry) } }
                dependencies.tokens = {
                    [
                        AccessToken(
                            secret: Array("admin".utf8),
                            principal: Principal(name: "ops", permissions: [.admin, .read])
                        ),
                        AccessToken(
                            secret: Array("ingest".utf8), principal: Principal(name: "old", permissions: [.ingest])),
                    ]
                }
            }
            self.authority = authority
            self.enrolment = enrolment
            self.log = log
        }

        var endpoint: HTTPEndpoint { HTTPEndpoint(.tls(host: "127.0.0.1", port: fixture.server.port)) }

        func send(
            _ client: HTTPClient, _ method: String, _ target: String, token: String? = nil, body: [UInt8] = [],
            fields: [HTTPField] = []
        ) async throws -> HTTPReply {
            let authorization = token.map { [HTTPField("Authorization", "Bearer \($0)")] } ?? []
            return try await client.send(
                HTTPCall(method, endpoint, target, fields: authorization + fields, body: body, tlsProfile: "server"))
        }

        /// A client that believes the server and shows nothing.
        var stranger: HTTPClient {
            HTTPClient(tlsProfiles: ["server": TLSProfile(authorities: authority.certificatePEM)])
        }

        func makeToken(uses: Int = 1) async throws -> JoinToken {
            let reply = try await send(stranger, "POST", "/api/v1/enrolment/tokens?uses=\(uses)", token: "admin")
            return try JoinToken(parsing: try JSONValue(parsing: reply.body)["data"]?["token"]?.text ?? reply.text)
        }

        /// Asks to join; the answer as it came.
        func join(_ agent: String, key: CertificateKey, token: JoinToken) async throws -> HTTPReply {
            var writer = JSONWriter()
            writer.beginObject()
            writer.member("agent", agent)
            writer.member("node", "web-1")
            writer.member("secret", Hexadecimal.text(token.secret))
            writer.member("request", String(decoding: try key.request(name: agent), as: UTF8.self))
            writer.endObject()
            return try await send(stranger, "POST", "/enrolment/v1/enroll", body: writer.bytes)
        }

        /// A client with the certificate of an agent that has joined.
        func enrolled(_ agent: String, key: CertificateKey = CertificateKey()) async throws -> HTTPClient {
            let reply = try await join(agent, key: key, token: try await makeToken())
            let certificate = try JSONValue(parsing: reply.body)["data"]?["certificate"]?.text ?? reply.text
            return client(Array(certificate.utf8), key)
        }

        func client(_ certificate: [UInt8], _ key: CertificateKey) -> HTTPClient {
            HTTPClient(tlsProfiles: [
                "server": TLSProfile(
                    authorities: authority.certificatePEM, certificateChain: certificate, privateKey: key.pem)
            ])
        }

        func batch(_ agent: String, _ sequence: UInt64 = 1) -> [UInt8] {
            let sender = DeliveryIdentity.Sender(agent: agent, epoch: 1, lane: .live)
            let delivery = DeliveryIdentity(sender: sender, sequence: sequence)
            var group = SampleGroup(target: Labels(["job": "node"]))
            group.append(
                Labels(["__name__": "load1", "job": "node"]), milliseconds: SystemWallClock().nowMilliseconds,
                value: Double(sequence))
            let information = AgentInformation(
                agent: agent, node: "web-1", version: "1", sentNanoseconds: SystemWallClock().nowNanoseconds)
            var encoder = AgentFrameEncoder()
            return AgentBatchEncoder.body(
                of: AgentBatch(
                    information: information, delivery: delivery,
                    signal: .samples(SampleBatch(groups: [group], delivery: delivery), isUrgent: false)),
                with: &encoder)
        }

        func deliver(
            _ client: HTTPClient, _ agent: String, _ sequence: UInt64 = 1, token: String? = nil, run: String? = nil
        ) async throws -> HTTPReply {
            let fields = run.map { [HTTPField("X-Vedette-Agent-Run", $0)] } ?? []
            return try await send(
                client, "POST", "/agent/v1/batch", token: token, body: batch(agent, sequence), fields: fields)
        }
    }

    private static let agent = String(repeating: "0", count: 31) + "1"
    private static let other = String(repeating: "0", count: 31) + "2"

    @Test func anEnrolledAgentDeliversWithItsCertificateAlone() async throws {
        let stage = try await Stage()
        let client = try await stage.enrolled(Self.agent)
        let reply = try await stage.deliver(client, Self.agent)
        #expect(reply.status == 200)
        #expect(try AgentReplyCodec.decode(reply.body).verdict == .stored)
        // A replayed batch is answered as stored, and stored once.
        let replayed = try AgentReplyCodec.decode(try await stage.deliver(client, Self.agent).body)
        #expect(replayed.verdict == .stored)
        #expect(replayed.accepted == 0)
        // It is an agent's certificate, and opens nothing else.
        #expect(try await stage.send(client, "GET", "/api/v1/query?query=load1").status == 401)
        #expect(try await stage.send(client, "POST", "/api/v1/enrolment/tokens").status == 401)
        let list = try await stage.send(stage.stranger, "GET", "/api/v1/agents", token: "admin").text
        #expect(list.contains(#""state":"enrolled""#))
    }

    @Test func aTokenUsedTwiceIsRefusedAndTold() async throws {
        let stage = try await Stage()
        let (token, key) = (try await stage.makeToken(), CertificateKey())
        #expect(try await stage.join(Self.agent, key: key, token: token).status == 200)
        #expect(try await stage.join(Self.agent, key: key, token: token).status == 200)
        let second = try await stage.join(Self.other, key: CertificateKey(), token: token)
        #expect(second.status == 401)
        #expect(second.text.contains("used already"))
        #expect(stage.log.text.contains("a node was not enrolled"))
        let unknown = JoinToken(fingerprint: token.fingerprint, secret: [UInt8](repeating: 1, count: 20))
        #expect(try await stage.join(Self.other, key: CertificateKey(), token: unknown).status == 401)
        #expect(try await stage.send(stage.stranger, "POST", "/api/v1/enrolment/tokens").status == 401)
        #expect(try await stage.send(stage.stranger, "POST", "/api/v1/enrolment/tokens", token: "ingest").status == 403)
    }

    @Test func nobodySpeaksInTheNameOfAnother() async throws {
        let stage = try await Stage()
        let client = try await stage.enrolled(Self.agent)
        let pretending = try await stage.deliver(client, Self.other)
        #expect(pretending.status == 403)
        #expect(try AgentReplyCodec.decode(pretending.body).reason.contains("the certificate is that of agent"))
        let commands = try await stage.send(client, "GET", "/agent/v1/commands?agent=\(Self.other)")
        #expect(commands.status == 403)
        // A token is not enough for who is enrolled; for others it is what it was.
        #expect(try await stage.deliver(stage.stranger, Self.agent, token: "ingest").status == 403)
        #expect(try await stage.deliver(stage.stranger, Self.other, token: "ingest").status == 200)
        #expect(try await stage.deliver(stage.stranger, Self.other).status == 401)
    }

    @Test func aRevokedAgentIsRefusedAtOnceAlsoInTheMiddle() async throws {
        let stage = try await Stage()
        let client = try await stage.enrolled(Self.agent)
        #expect(try await stage.deliver(client, Self.agent).status == 200)
        let waiting = Task {
            try await stage.send(client, "GET", "/agent/v1/commands?agent=\(Self.agent)&wait=8s").status
        }
        try await Task.sleep(for: .milliseconds(100))
        let revoked = try await stage.send(
            stage.stranger, "POST", "/api/v1/agents/\(Self.agent)/revoke", token: "admin")
        #expect(revoked.status == 200)
        // Whoever waits for commands is refused or cut, and told of none.
        let waited = await waiting.result
        if case .success(let status) = waited { #expect(status == 403) }
        let refused = try await stage.deliver(client, Self.agent, 2)
        #expect(refused.status == 403)
        #expect(refused.text.contains("was revoked at"))
        #expect(refused.text.contains("by ops"))
        let unknown = try await stage.send(
            stage.stranger, "POST", "/api/v1/agents/\(Self.other)/revoke", token: "admin")
        #expect(unknown.status == 404)
        let list = try await stage.send(stage.stranger, "GET", "/api/v1/agents", token: "admin").text
        #expect(list.contains(#""state":"revoked""#))
    }

    @Test func aCertificateIsRenewedWithTheOneBefore() async throws {
        let stage = try await Stage()
        let client = try await stage.enrolled(Self.agent)
        let next = CertificateKey()
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("request", String(decoding: try next.request(name: Self.agent), as: UTF8.self))
        writer.endObject()
        #expect(try await stage.send(stage.stranger, "POST", "/agent/v1/certificate", body: writer.bytes).status == 401)
        let reply = try await stage.send(client, "POST", "/agent/v1/certificate", body: writer.bytes)
        let certificate = try JSONValue(parsing: reply.body)["data"]?["certificate"]?.text ?? ""
        // Both are let in until somebody renews with the new one: no batch is lost in between.
        #expect(try await stage.deliver(client, Self.agent, 1).status == 200)
        #expect(try await stage.deliver(stage.client(Array(certificate.utf8), next), Self.agent, 2).status == 200)
    }

    @Test func twoAgentsWithOneIdentityAreFound() async throws {
        let stage = try await Stage()
        let key = CertificateKey()
        let client = try await stage.enrolled(Self.agent, key: key)
        var held = 0
        for round in UInt64(1)...3 {
            #expect(try await stage.deliver(client, Self.agent, round, run: "b1.r1").status == 200)
            let clone = try await stage.deliver(client, Self.agent, round, run: "b2.r2")
            let reply = try AgentReplyCodec.decode(clone.body)
            #expect(reply.verdict == .later)
            #expect(reply.reason.contains("cloned"))
            held += 1
        }
        #expect(held == 3)
        #expect(stage.log.text.contains("another agent speaks under the identity"))
        let list = try await stage.send(stage.stranger, "GET", "/api/v1/agents", token: "admin").text
        #expect(list.contains("two at once"))
    }
}
