import Disk
import Synchronization
import Telemetry
import TestSupport
import Testing
import Wire

@testable import Agent

/// Spool and server together: every batch arrives once, whatever becomes of answers, declarations and the server
/// itself.
@Suite struct ForwarderTests {
    /// A spool on its thread and a forwarder, for the time of `body`.
    private func withDelivery(
        _ server: FakeServer, _ storage: any FileStorage = SimulatedStorage(seed: 1),
        _ body: (Spool) async throws -> Void
    ) async throws {
        let clock = ManualClock()
        let spool = Spool(
            Spool.Setting(
                folder: "spool", storage: storage, policy: SpoolPolicy(freeBytesMinimum: 0), wallClock: clock,
                notices: Fixture.quiet))
        let thread = try #require(
            AgentThread(name: "test-spool") {
                guard let worker = try? SpoolWorker(spool) else { return }
                worker.run()
            })
        let link = ServerLink(
            http: server, endpoint: HTTPEndpoint(.tcp(host: "h", port: 1)), agent: String(repeating: "a", count: 32),
            node: "n", version: "1", wallClock: clock)
        let forwarding = Task { await Forwarder(spool: spool, link: link, notices: Fixture.quiet).run() }
        try await body(spool)
        forwarding.cancel()
        await forwarding.value
        spool.close()
        await thread.ended()
    }

    @Test func batchesArriveOnceInOrder() async throws {
        let server = FakeServer()
        try await withDelivery(server) { spool in
            for number in 0..<50 { _ = spool.submit(SpoolStage.batch("line \(number)")) }
            #expect(await server.waits(seconds: 10) { server.lines.count == 50 })
        }
        #expect(server.lines == (0..<50).map { "line \($0)" })
    }

    @Test func aLostAnswerIsARepetitionTheServerDrops() async throws {
        let server = FakeServer()
        server.state.withLock { $0.answersLost = 3 }
        try await withDelivery(server) { spool in
            for number in 0..<5 { _ = spool.submit(SpoolStage.batch("line \(number)")) }
            #expect(await server.waits(seconds: 20) { server.lines.count == 5 && spool.statistics.sentBatches == 5 })
        }
        #expect(server.state.withLock { $0.duplicates } >= 1)
        #expect(Set(server.lines).count == 5)
    }

    @Test func aServerThatForgotDeclarationsGetsThemAgain() async throws {
        let server = FakeServer()
        try await withDelivery(server) { spool in
            _ = spool.submit(SpoolStage.batch("1"))
            #expect(await server.waits(seconds: 10) { server.lines == ["1"] })
            server.forgetDeclarations()
            _ = spool.submit(SpoolStage.batch("2"))
            #expect(await server.waits(seconds: 10) { server.lines == ["1", "2"] })
        }
    }

    @Test func aBatchWhoseDeclarationsAreLostDoesNotHoldUpTheOthers() async throws {
        let server = FakeServer()
        let unknown = AgentReply(
            verdict: .redeclare, marks: DeliveryMarks(synced: 0, archived: 0), reason: "id 7 was never declared")
        // Asked once, everything there is was declared again, and the server still does not know it.
        server.state.withLock { $0.verdicts = [unknown, unknown] }
        try await withDelivery(server) { spool in
            _ = spool.submit(SpoolStage.batch("1"))
            _ = spool.submit(SpoolStage.batch("2"))
            #expect(await server.waits(seconds: 10) { server.lines == ["2"] })
            #expect(spool.statistics.refusedBatches == 1)
        }
    }

    @Test func whatIsRefusedForGoodIsSetAsideAndTheRestGoesOn() async throws {
        let server = FakeServer()
        let storage = SimulatedStorage(seed: 2)
        let refusal = AgentReply(
            verdict: .refused, marks: DeliveryMarks(synced: 0, archived: 0), reason: "it cannot be right")
        server.state.withLock { $0.verdicts = [refusal] }
        try await withDelivery(server, storage) { spool in
            _ = spool.submit(SpoolStage.batch("1"))
            _ = spool.submit(SpoolStage.batch("2"))
            #expect(await server.waits(seconds: 10) { server.lines == ["2"] })
            #expect(spool.statistics.refusedBatches == 1)
            #expect(await server.waits(seconds: 5) { storage.bytes(of: "spool/rejected/0.batch") != nil })
        }
    }

    @Test func settledTicketsAreThoseTheServerHas() async throws {
        let server = FakeServer()
        try await withDelivery(server) { spool in
            let settled = Settled()
            spool.whenSettled { settled.add($0) }
            server.state.withLock { $0.isAway = true }
            let ticket = spool.submit(SpoolStage.batch("1"))
            #expect(await server.waits(seconds: 5) { server.state.withLock { $0.calls } > 0 })
            #expect(settled.all.isEmpty)
            server.state.withLock { $0.isAway = false }
            #expect(await server.waits(seconds: 20) { settled.all == [ticket] })
        }
    }
}
