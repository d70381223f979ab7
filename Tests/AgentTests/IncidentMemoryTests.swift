import Telemetry
import TestSupport
import Testing
import Wire

@testable import Agent

/// What a start finds of the time in which no agent ran, and what it makes of commands that were under way.
@Suite struct IncidentMemoryTests {
    private let id = String(repeating: "a", count: 64)
    private let kill = KernelRecord.OOMKill(
        constraint: "CONSTRAINT_MEMCG", limitedBy: "/docker/a", group: "/docker/a", task: "sh", pid: 7)

    private func container(started: Int64, finished: Int64 = 0, restarts: Int = 0) -> Container {
        var container = Container(id: id)
        container.startedNanoseconds = started
        container.finishedNanoseconds = finished
        container.isRunning = finished == 0
        container.exitCode = finished == 0 ? nil : 137
        container.restartCount = restarts
        return container
    }

    /// A memory that was written at 1000 with the container in the life that began at 100.
    private var memory: IncidentMemory {
        var memory = IncidentMemory()
        memory.writtenNanoseconds = 1_000
        memory.kernelSequence = 40
        memory.note(container(started: 100), killsBefore: 0)
        return memory
    }

    private func sightings(_ memory: IncidentMemory, _ container: Container) -> [IncidentCorrelator.Sighting] {
        memory.missed(container, records: [(41, kill)], agentStart: 5_000).map(\.sighting)
    }

    @Test func anEndThatNobodySawIsFoundOnce() {
        let ended = container(started: 100, finished: 2_000)
        #expect(sightings(memory, ended) == [.killRecord(kill), .exit(code: 137)])
        var told = memory
        told.told(incident(.oomKill, at: 2_000), of: ended, kernelSequence: 41)
        told.told(incident(.exit, at: 2_000), of: ended, kernelSequence: 41)
        #expect(sightings(told, ended).isEmpty)
        #expect(told.containers[id]?.killsTold == 1)
        // The kill was told before the death of the agent, the end was not.
        var half = memory
        half.told(incident(.oomKill, at: 2_000), of: ended, kernelSequence: 41)
        var claimed = ended
        claimed.isOutOfMemory = true
        #expect(sightings(half, claimed) == [.exit(code: 137)])
        #expect(sightings(memory, claimed) == [.killRecord(kill), .killClaim, .exit(code: 137)])
        // Told by the cgroup's counter, before its record was read.
        var early = memory
        early.containers[id]?.counts = [1, 0, 0]
        #expect(sightings(early, ended) == [.exit(code: 137)])
    }

    @Test func aLifeThatIsOverAndAnotherThatBegan() {
        let again = container(started: 3_000, restarts: 2)
        #expect(sightings(memory, again) == [.killRecord(kill), .exit(code: nil)])
        #expect(memory.startsMissed(again) == 2)
        #expect(memory.startsMissed(container(started: 100)) == 0)
        // The end was told, the new start was not seen.
        var told = memory
        told.told(incident(.exit, at: 2_000), of: container(started: 100, finished: 2_000), kernelSequence: 41)
        #expect(sightings(told, again).isEmpty)
        // The end is told when the container runs again already: its next end is still news.
        var late = memory
        late.told(incident(.exit, at: 2_000), of: again, kernelSequence: 41)
        #expect(sightings(late, container(started: 3_000, finished: 4_000)) == [.exit(code: 137)])
    }

    @Test func whatIsOlderThanTheMemoryIsNoNews() {
        var empty = IncidentMemory()
        #expect(sightings(empty, container(started: 100, finished: 200)).isEmpty)
        empty.writtenNanoseconds = 1_000
        #expect(sightings(empty, container(started: 100, finished: 200)).isEmpty)
        // Born and dead while no agent ran.
        empty.kernelSequence = 40
        #expect(sightings(empty, container(started: 1_500, finished: 1_700)) == [.killRecord(kill), .exit(code: 137)])
    }

    @Test func theFileIsAsItsPageSays() throws {
        var memory = IncidentMemory()
        memory.bootID = "b"
        memory.kernelSequence = 9
        memory.writtenNanoseconds = 8
        memory.containers["c"] = IncidentMemory.Entry(
            startedNanoseconds: 1, killsTold: 2, endToldNanoseconds: 3, kernelSequence: 4, restartCount: 5,
            counts: [6, 7, 8])
        memory.services["s"] = [1, 0, 0]
        let golden = try GoldenPage("agent-state.md").bytes(of: "a memory of one container")
        #expect(Hexadecimal.text(memory.encoded) == Hexadecimal.text(golden))
        #expect(try IncidentMemory(decoding: golden) == memory)
        memory.keep([HostEvent(.oomKill, nanoseconds: 5, source: "x", subject: .empty, text: "t")], atNanoseconds: 6)
        #expect(try IncidentMemory(decoding: memory.encoded) == memory)
    }

    @Test func anInterruptedRestartIsJudgedByTheStartOfItsContainer() throws {
        var ledger = CommandLedger()
        let command = AgentCommand(id: "1", action: "container.restart", target: id, expiresNanoseconds: 9_000)
        ledger.begin(command, target: id, atNanoseconds: 2_000, refusal: nil)
        let entry = try #require(ledger.interrupted.first)
        func aftermath(_ container: Container?) -> CommandAftermath { Actions.aftermath(of: entry, container) }
        func isFailed(_ aftermath: CommandAftermath) -> Bool { if case .failed = aftermath { true } else { false } }
        let facts = Labels(["started_at": Timestamps.rfc3339(nanoseconds: 2_500), "pid": "0"])
        #expect(aftermath(container(started: 2_500)) == .done(facts))
        #expect(isFailed(aftermath(container(started: 2_500, finished: 2_600))))
        #expect(isFailed(aftermath(nil)))
        #expect(
            aftermath(container(started: 100, finished: 1_900))
                == .pending("the container was not started since", milliseconds: 2_000))
        ledger.finish(CommandReport(id: "1", outcome: .done, reason: "", nanoseconds: 3_000))
        #expect(ledger.interrupted.isEmpty)
    }

    private func incident(_ kind: HostEvent.Kind, at nanoseconds: Int64) -> IncidentCorrelator.Incident {
        IncidentCorrelator.Incident(
            kind: kind, container: id, nanoseconds: nanoseconds, count: 1, sources: [.state], details: [:])
    }
}
