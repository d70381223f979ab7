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

    @Test func whatAFullDiskDoesNotTakeGoesToTheServerFromMemory() async throws {
        let server = FakeServer()
        server.state.withLock { $0.answersLost = 1 }
        var plan = SimulatedStorage.Plan()
        plan.capacityBytes = 1 << 20
        let storage = SimulatedStorage(seed: 3, plan: plan)
        try await withDelivery(server, storage) { spool in
            // The disk is filled by lines that the server does not take.
            server.state.withLock { $0.isAway = true }
            var generator = SeededGenerator(seed: 5)
            while spool.isAcceptingLines {
                var lines = LogLines(labels: Labels(["container": "c"]))
                lines.append(nanoseconds: 5, line: generator.bytes(60_000))
                _ = spool.submit(LogBatch(streams: [lines]))
                try await Task.sleep(for: .milliseconds(2))
            }
            storage.setCapacity(1 << 10)
            for number in 0..<20 {
                var group = SampleGroup(target: Labels(["job": "j"]), intervalMilliseconds: 1)
                group.append(Labels(["__name__": "m"]), milliseconds: Int64(number), value: Double(number))
                spool.submit(SampleBatch(groups: [group]), isUrgent: false)
            }
            let event = HostEvent(
                .exit, nanoseconds: 1, source: "test", subject: Labels(["node": "n"]), text: "it ended")
            spool.submit([event])
            server.state.withLock { $0.isAway = false }
            #expect(await server.waits(seconds: 20) { server.values("m").count == 20 && server.events.count == 1 })
            #expect(spool.statistics.droppedBatches == 0)
            // Memory has an epoch of its own.
            #expect(
                await server.waits(seconds: 20) {
                    Set(server.state.withLock { $0.stored }.map(\.delivery.sender.epoch)).count == 2
                })
        }
        #expect(server.values("m").map(\.value).sorted() == (0..<20).map(Double.init))
    }

    @Test func memoryTakesNoMoreThanItsShareAndGivesUpTheOldestSamplesFirst() async {
        let lane = DirectLane()
        let event = AgentBatch.Signal.events([])
        #expect(lane.add(.events, event, bytes: 100) == 0)
        #expect(await lane.next()?.id == 1)
        let samples = AgentBatch.Signal.samples(SampleBatch(groups: []), isUrgent: false)
        for _ in 0..<7 { #expect(lane.add(.samples, samples, bytes: 1 << 20) == 0) }
        // The eighth is too much; what is being sent keeps its sequence and its place.
        #expect(lane.add(.samples, samples, bytes: 1 << 20) == 1)
        #expect(await lane.next()?.id == 1)
        lane.done(DirectLane.Item(id: 1, queue: .events, signal: event, bytes: 100), isStored: true)
        #expect(await lane.next()?.id == 3)
        #expect(lane.sentBatches == 1)
        lane.close()
        #expect(await lane.next() == nil)
    }
}
