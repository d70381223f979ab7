import Disk
import Synchronization
import Telemetry
import TestSupport
import Testing
import Wire

@testable import Alerting

/// Agents that wait for commands and report on them, and an audit log that takes nothing.
@Suite struct CommandWaitTests {
    /// A journal that completes only when a test says so.
    private final class HeldJournal: DecisionJournal {
        private struct State {
            var waiting: [@Sendable ((any Error)?) -> Void] = []
            var entries = 0
        }

        private let state = Mutex(State())
        var entries: Int { state.withLock { $0.entries } }
        var bytesSinceSnapshot: Int { 0 }

        func submit(_ entries: [JournalEntry], completion: @escaping @Sendable ((any Error)?) -> Void) {
            state.withLock { state in
                state.entries += entries.count
                state.waiting.append(completion)
            }
        }

        func compact(_ snapshot: [JournalEntry], completion: @escaping @Sendable ((any Error)?) -> Void) {
            submit(snapshot, completion: completion)
        }

        /// Completes everything submitted so far; false when there was nothing.
        func complete(_ error: (any Error)? = nil) -> Bool {
            let waiting = state.withLock { state in
                defer { state.waiting = [] }
                return state.waiting
            }
            for completion in waiting { completion(error) }
            return !waiting.isEmpty
        }
    }

    /// Counts what tasks did.
    private final class Counter: Sendable {
        private let state = Mutex(0)
        var value: Int { state.withLock { $0 } }
        func add() { state.withLock { $0 += 1 } }
    }

    private func service(
        _ journal: HeldJournal, _ world: AlertingWorld, state: AlertingState = AlertingState()
    ) throws -> AlertingService {
        let storage = SimulatedStorage(seed: 1)
        try storage.makeFolder("alerting")
        return AlertingService(
            ports: world.ports(storage: storage), configuration: try AlertingStory.configuration(), journal: journal,
            state: state, auditLog: try AuditLog(path: "alerting/audit.log", in: storage))
    }

    @Test func aReportIsNotLostWhenItComesBeforeItsAgentIsKnown() async throws {
        let world = AlertingWorld()
        let journal = HeldJournal()
        var state = AlertingState()
        state.apply(.action(RemedySamples.record(.started)))
        let service = try service(journal, world, state: state)
        _ = journal.complete()
        world.forgetAgents()
        let report = CommandReport(id: "inst-1", outcome: .done, reason: "", nanoseconds: 1)
        // The server has just started: the agent's first batch is still on its way.
        await #expect(throws: AppendRefusal.self) { try await service.report([report], from: "agent-1") }
        world.know(agent: "agent-1", on: "n1")
        let answer = Task { try await service.report([report], from: "agent-1") }
        while !journal.complete() { await Task.yield() }
        try await answer.value
        let states = service.guarded.withLock { $0.core.state.actions.values.map(\.state) }
        #expect(states == [.verifying])
    }

    @Test func aReportIsAnsweredWhenItIsOnDiskAndNotBefore() async throws {
        let journal = HeldJournal()
        let service = try service(journal, AlertingWorld())
        _ = journal.complete()
        let answered = Counter()
        let report = CommandReport(id: "x-1", outcome: .done, reason: "", nanoseconds: 1)
        let answer = Task {
            defer { answered.add() }
            try await service.report([report], from: "agent-1")
        }
        let before = journal.entries
        while journal.entries == before { await Task.yield() }
        for _ in 0..<100 { await Task.yield() }
        #expect(answered.value == 0)
        #expect(journal.complete())
        try await answer.value
        // What the disk refuses is not acknowledged.
        let failing = Task { try await service.report([report], from: "agent-1") }
        while !journal.complete(AppendRefusal(.unavailable, "disk full")) { await Task.yield() }
        await #expect(throws: AppendRefusal.self) { try await failing.value }
    }

    @Test func aRequestOfAPersonIsAnsweredWhenItIsOnDiskAndNotBefore() async throws {
        let journal = HeldJournal()
        let service = try service(journal, AlertingWorld())
        _ = journal.complete()
        let wish = SilenceRequest(
            matchers: [.equal("alertname", "OOM")], startsAtMilliseconds: 0, endsAtMilliseconds: .max / 2,
            createdBy: "me", comment: "test")
        _ = try service.setSilence(wish)
        let answered = Counter()
        let answer = Task {
            defer { answered.add() }
            try await service.settle()
        }
        for _ in 0..<100 { await Task.yield() }
        #expect(answered.value == 0)
        while answered.value == 0 {
            _ = journal.complete()
            await Task.yield()
        }
        try await answer.value
        _ = try service.setSilence(wish)
        let ended = Counter()
        let failing = Task {
            defer { ended.add() }
            try await service.settle()
        }
        while ended.value == 0 {
            _ = journal.complete(AppendRefusal(.unavailable, "disk full"))
            await Task.yield()
        }
        let error = await #expect(throws: AppendRefusal.self) { try await failing.value }
        #expect(error?.reason.contains("only until the next start") == true)
    }

    @Test func aSignalWakesOneAgentAmongTenThousand() async {
        let wake = NamedWake()
        let woken = Counter()
        await withDiscardingTaskGroup { group in
            for number in 0..<10_000 {
                group.addTask {
                    let name = "agent-\(number)"
                    wake.attend(name)
                    await wake.wait(for: name, after: wake.generation(of: name), milliseconds: 60_000)
                    if !Task.isCancelled { woken.add() }
                    wake.leave(name)
                }
            }
            while wake.count < 10_000 { await Task.yield() }
            wake.signal(["agent-77", "nobody"])
            while woken.value == 0 { await Task.yield() }
            #expect(wake.count == 9_999)
            group.cancelAll()
        }
        #expect(woken.value == 1)
        // A signal between looking and waiting is not missed.
        wake.attend("a")
        let generation = wake.generation(of: "a")
        wake.signal(["a"])
        await wake.wait(for: "a", after: generation, milliseconds: 60_000)
        wake.leave("a")
    }

    @Test func anAuditLogThatTakesNothingStopsNewActionsAndLosesNothing() throws {
        var core = AlertingCore(
            state: AlertingState(), configuration: try AlertingStory.configuration(), installation: "i", now: 0)
        for number in 0..<AlertingCore.pendingAuditMaximum {
            let report = CommandReport(id: "x-\(number)", outcome: .done, reason: "", nanoseconds: 1)
            core.report(report, from: "hostile", where: { _ in true }, now: 1)
        }
        #expect(core.state.pendingAudit.count == AlertingCore.pendingAuditMaximum)
        #expect(core.auditBacklog?.contains("free its disk") == true)
        // Nobody can make it grow, and nothing new is begun.
        core.report(
            CommandReport(id: "x", outcome: .done, reason: "", nanoseconds: 1), from: "hostile", where: { _ in true },
            now: 1)
        core.propose([RemedySamples.alert], now: 1_000)
        #expect(core.state.actions.values.isEmpty)
        #expect(throws: AlertingRequestError.self) {
            try core.pause("restart", isPaused: false, by: "me", now: 1_000)
        }
        #expect(core.state.pendingAudit.count == AlertingCore.pendingAuditMaximum)
        // A pause is obeyed, and everything that was recorded is still there.
        try core.pause("restart", isPaused: true, by: "me", now: 1_000)
        #expect(core.state.pendingAudit.count == AlertingCore.pendingAuditMaximum + 1)
        #expect(core.state.pendingAudit.map(\.sequence) == Array(1...UInt64(AlertingCore.pendingAuditMaximum) + 1))
        core.record(.auditHead(AuditHead(sequence: UInt64(AlertingCore.pendingAuditMaximum), hash: "")))
        core.propose([RemedySamples.alert], now: 2_000)
        #expect(core.state.actions.values.count == 1)
    }
}
