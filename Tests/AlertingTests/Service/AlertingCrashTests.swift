import Disk
import Telemetry
import TestSupport
import Testing
import Wire

@testable import Alerting

/// The whole story on a disk that dies at every single operation: after the restart nobody is told twice under another
/// key, nothing is done twice, and everything still comes to its end.
@Suite struct AlertingCrashTests {
    /// What one run came to.
    private struct Outcome {
        var operations = 0
        var calls: [AlertingWorld.Call] = []
        var done: [String: Int] = [:]
        var actions: [ActionStatus] = []
        var deliveries: [DeliveryStatus] = []
        var audit: AuditVerifier.Verdict?
    }

    /// Tells the story; a crash at `operation` ends the process once, and it starts again on what the disk kept.
    private func tell(
        seed: UInt64, crashAt operation: Int?, ending: SimulatedStorage.Ending, syncsAreLies: Bool = false
    ) async throws -> Outcome {
        var plan = SimulatedStorage.Plan()
        plan.crashAtOperation = operation
        plan.syncsAreLies = syncsAreLies
        var storage = SimulatedStorage(seed: seed, plan: plan)
        let world = AlertingWorld()
        // The provider takes the first message and loses its answer.
        world.script([.failure(HTTPFailure(.timeout, "no answer")), .reply(HTTPReply(status: 429))])
        var story = AlertingStory(world: world)
        for _ in 0..<10 {
            world.clock.advance(milliseconds: 1000)
            world.add(AlertingStory.labels, [Sample(milliseconds: world.clock.nowNanoseconds / 1_000_000, value: 0)])
        }
        world.setLife { [storage] in storage.crash == nil }
        var opened = try? story.open(storage)
        var hasCrashed = false
        for second in 0..<26 {
            if opened == nil || (storage.crash != nil && !hasCrashed) {
                hasCrashed = true
                storage = storage.survivors(of: ending)
                world.setLife { true }
                opened = try story.open(storage)
            }
            guard let (service, journal) = opened else { break }
            try await story.second(service, journal, oomCount: second < 3 ? 0 : 1, isWoken: second == 3)
        }
        var outcome = Outcome(operations: storage.operations, calls: world.calls, done: story.done)
        outcome.actions = opened?.service.actions() ?? []
        outcome.deliveries = opened?.service.deliveries() ?? []
        outcome.audit = try AuditCheck.run(folder: "alerting", storage: storage).verdict
        return outcome
    }

    /// What people would see that they must not.
    private func violations(_ outcome: Outcome) -> [String] {
        var found: [String] = []
        // A repeat may only carry the key of its first, and the same bytes.
        for (key, calls) in Dictionary(grouping: outcome.calls, by: \.key) where Set(calls.map(\.body)).count != 1 {
            found.append("key \(key) carried different messages")
        }
        let accepted = Set(outcome.calls.filter(\.wasAccepted).map(\.key))
        if accepted.count != 2 { found.append("\(accepted.count) messages were taken, not firing and resolved") }
        if outcome.done.count != 1 { found.append("\(outcome.done.count) restarts") }
        if outcome.actions.map(\.state) != ["verified"] {
            found.append("actions: \(outcome.actions.map { "\($0.state): \($0.reason)" })")
        }
        if !outcome.deliveries.allSatisfy({ $0.state == .delivered }) {
            found.append("deliveries: \(outcome.deliveries.map(\.state))")
        }
        if let damage = outcome.audit?.damage { found.append("audit: \(damage)") }
        return found
    }

    @Test func withoutACrashTheStoryEndsWell() async throws {
        let outcome = try await tell(seed: 1, crashAt: nil, ending: .powerCut)
        #expect(violations(outcome) == [])
        let states = ["blocked", "freezing", "commanded", "started", "verifying", "verified"]
        #expect(outcome.actions.first?.history.map(\.state) == states)
        #expect((outcome.audit?.records ?? 0) >= 8)
    }

    @Test(arguments: SimulatedStorage.Ending.allCases)
    func aCrashAtAnyOperationChangesNothingThatPeopleSee(_ ending: SimulatedStorage.Ending) async throws {
        let whole = try await tell(seed: 1, crashAt: nil, ending: ending).operations
        #expect(whole > 40)
        for operation in 1...whole {
            let found = violations(try await tell(seed: UInt64(operation), crashAt: operation, ending: ending))
            #expect(found == [], "crash at operation \(operation) of \(whole), \(ending)")
        }
    }

    /// The test can fail: on a disk whose syncs are lies something is told or done twice, or lost.
    @Test func aDiskThatLiesIsNoticed() async throws {
        var found: [String] = []
        for operation in stride(from: 5, to: 50, by: 3) where found.isEmpty {
            do {
                found = violations(
                    try await tell(seed: UInt64(operation), crashAt: operation, ending: .powerCut, syncsAreLies: true))
            } catch {
                found = ["\(error)"]
            }
        }
        #expect(found != [])
    }
}
