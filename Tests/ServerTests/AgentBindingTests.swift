import Crypto
import Synchronization
import Telemetry
import TestSupport
import Testing
import Wire

@testable import Server

/// A token for ingest alone does not make one the agent of another host.
@Suite struct AgentBindingTests {
    private static let agent = String(repeating: "0", count: 31) + "1"

    private final class Disk: Sendable {
        let bytes = Mutex<[UInt8]?>(nil)
        let isFull = Mutex(false)

        func write(_ new: [UInt8]) throws {
            if isFull.withLock({ $0 }) { throw AppendRefusal(.unavailable, "disk full") }
            bytes.withLock { $0 = new }
        }
    }

    @Test func theFirstSecretIsBelievedAndNoOther() async throws {
        let disk = Disk()
        let bindings = try AgentBindings(nil) { try disk.write($0) }
        #expect(try await bindings.check(Self.agent, secret: nil, mayBeUnbound: true) == false)
        #expect(try await bindings.check(Self.agent, secret: "s3cret"))
        #expect(try await bindings.check(Self.agent, secret: "s3cret") == false)
        await #expect(throws: AgentBindings.Refusal.otherSecret(agent: Self.agent)) {
            try await bindings.check(Self.agent, secret: "other", mayBeUnbound: true)
        }
        await #expect(throws: AgentBindings.Refusal.noSecret) {
            try await bindings.check(Self.agent, secret: nil, mayBeUnbound: true)
        }
        // A restart knows it; the secret itself is nowhere.
        let stored = try #require(disk.bytes.withLock { $0 })
        #expect(!String(decoding: stored, as: UTF8.self).contains("s3cret"))
        let again = try AgentBindings(stored) { try disk.write($0) }
        await #expect(throws: AgentBindings.Refusal.self) { try await again.check(Self.agent, secret: "other") }
        #expect(try await again.forget(Self.agent))
        #expect(try await again.forget(Self.agent) == false)
        #expect(try await again.check(Self.agent, secret: "other"))
    }

    @Test func whatIsNotOnDiskIsNotBelieved() async throws {
        let disk = Disk()
        disk.isFull.withLock { $0 = true }
        let bindings = try AgentBindings(nil) { try disk.write($0) }
        await #expect(throws: AgentBindings.Refusal.self) { try await bindings.check(Self.agent, secret: "a") }
        disk.isFull.withLock { $0 = false }
        #expect(try await bindings.check(Self.agent, secret: "b"))
    }

    @Test func theFileIsAsItsPageSays() throws {
        let golden = try GoldenPage("agent-bindings.md").bytes(of: "two agents")
        let zeros = String(repeating: "0", count: 31)
        let hashes = [
            zeros + "2": String(repeating: "b", count: 64), zeros + "1": String(repeating: "a", count: 64),
        ]
        #expect(AgentBindings.bytes(hashes) == golden)
        #expect(try AgentBindings(golden) { _ in }.damage.isEmpty)
    }

    @Test func aDamagedLineCostsNoOtherAgentAndIsNamed() async throws {
        let whole = try GoldenPage("agent-bindings.md").bytes(of: "two agents")
        for index in whole.indices {
            var bytes = whole
            bytes[index] ^= 0x04
            let bindings = try AgentBindings(bytes) { _ in }
            // A line end that is damaged makes one line of two.
            #expect((1...2).contains(bindings.damage.count), "byte \(index)")
            let line = whole[..<index].count { $0 == 0x0a }
            guard line != 1, whole[index] != 0x0a else { continue }
            await #expect(throws: AgentBindings.Refusal.otherSecret(agent: Self.agent), "byte \(index)") {
                try await bindings.check(Self.agent, secret: "another")
            }
        }
    }

    @Test func aNewerFileIsRefusedByName() {
        let line = "vedette-agents 2"
        let check = Hexadecimal.text(Array(SHA256.hash(data: Array(line.utf8)))).prefix(8)
        #expect(throws: ByteError(offset: 0, reason: "version 2, this program reads version 1")) {
            try AgentBindings(Array("\(line) \(check)\n".utf8)) { _ in }
        }
    }

    @Test func commandsReportsAndBatchesAreRefusedToOthers() async throws {
        let bindings = try AgentBindings(nil) { _ in }
        let fixture = try await ServerFixture.start { $0.bindings = bindings }
        let commands = "/agent/v1/commands?agent=\(Self.agent)"
        let own = [HTTPField("X-Vedette-Agent-Secret", "mine")]
        let other = [HTTPField("X-Vedette-Agent-Secret", "yours")]
        #expect(try await fixture.send("GET", commands).status == 403)
        #expect(try await fixture.send("GET", commands, fields: own).status == 200)
        let refused = try await fixture.send("GET", commands, fields: other)
        #expect(refused.status == 403)
        #expect(refused.text.contains("DELETE /api/v1/agents/\(Self.agent)/binding"))
        let reports = "/agent/v1/reports?agent=\(Self.agent)"
        #expect(try await fixture.send("POST", reports, fields: other).status == 403)
        let batch = Self.batch()
        #expect(try await fixture.send("POST", "/agent/v1/batch", fields: own, body: batch).status == 200)
        let late = try await fixture.send("POST", "/agent/v1/batch", fields: other, body: batch)
        #expect(late.status == 403)
        #expect(try AgentReplyCodec.decode(late.body).verdict == .later)
        #expect(try await fixture.send("DELETE", "/api/v1/agents/\(Self.agent)/binding").status == 200)
        #expect(try await fixture.send("DELETE", "/api/v1/agents/\(Self.agent)/binding").status == 404)
        #expect(try await fixture.send("GET", commands, fields: other).status == 200)
    }

    @Test func aLivingAgentKeepsItsNode() {
        let agents = KnownAgents()
        func saw(_ agent: String, at seconds: Int64) -> Bool {
            agents.saw(
                AgentInformation(agent: agent, node: "n", version: "1", sentNanoseconds: 0),
                nowNanoseconds: seconds * 1_000_000_000, remoteAddress: "")
        }
        #expect(saw("a", at: 1))
        #expect(!saw("b", at: 2))
        #expect(agents.agent(forNode: "n") == "a")
        #expect(saw("b", at: 62))
        #expect(agents.agent(forNode: "n") == "b")
    }

    @Test func anAgentSpeaksForOneNodeHoweverOftenItRenamesItsHost() {
        let agents = KnownAgents()
        for number in 0..<100 {
            agents.saw(
                AgentInformation(agent: "a", node: "n\(number)", version: "1", sentNanoseconds: 0),
                nowNanoseconds: 1, remoteAddress: "")
        }
        #expect(agents.agent(forNode: "n99") == "a")
        #expect((0..<99).allSatisfy { agents.agent(forNode: "n\($0)") == nil })
    }

    @Test func targetsAreShownAsPrometheusShowsThem() async throws {
        struct Targets: TargetSource {
            var activeTargets: [ScrapedTarget] {
                var target = ScrapedTarget(
                    pool: "node", discovered: Labels(["__address__": "a:1"]), labels: Labels(["instance": "a:1"]),
                    url: "http://a:1/metrics", intervalMilliseconds: 15_000, timeoutMilliseconds: 10_000)
                target.health = .down
                target.lastError = "refused"
                target.lastScrapeMilliseconds = 1_700_000_000_000
                return [target]
            }
            var droppedTargets: [ScrapedTarget] { [] }
        }
        let fixture = try await ServerFixture.start { $0.targets = Targets() }
        let body = try await fixture.get("/api/v1/targets?state=active").body
        let target = try JSONValue(parsing: body)["data"]?["activeTargets"]?[0]
        #expect(target?["scrapePool"]?.text == "node")
        #expect(target?["health"]?.text == "down")
        #expect(target?["lastError"]?.text == "refused")
        #expect(target?["scrapeInterval"]?.text == "15s")
        #expect(target?["discoveredLabels"]?["__address__"]?.text == "a:1")
        #expect(try await fixture.get("/api/v1/targets?state=x").status == 400)
    }

    private static func batch() -> [UInt8] {
        let delivery = DeliveryIdentity(
            sender: DeliveryIdentity.Sender(agent: agent, epoch: 1, lane: .live), sequence: 1)
        var group = SampleGroup()
        group.append(Labels(["__name__": "m"]), milliseconds: ServerFixture.now, value: 1)
        let information = AgentInformation(agent: agent, node: "n", version: "1", sentNanoseconds: 0)
        let batch = AgentBatch(
            information: information, delivery: delivery,
            signal: .samples(SampleBatch(groups: [group], delivery: delivery), isUrgent: false))
        var encoder = AgentFrameEncoder()
        return AgentBatchEncoder.body(of: batch, with: &encoder)
    }
}
