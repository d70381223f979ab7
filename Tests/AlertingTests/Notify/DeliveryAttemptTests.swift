import Telemetry
import Testing
import Wire

@testable import Alerting

/// When messages are tried, and what the log says of receivers that take none.
@Suite struct DeliveryAttemptTests {
    private static let now: Int64 = 1_700_000_000_000

    private func core() throws -> AlertingCore {
        let notify = try Fixtures.notify(
            """
            alerting:
              route: {receiver: slow}
              receivers:
                - {name: slow, webhook_configs: [{url: "http://slow.example/"}]}
                - {name: quick, webhook_configs: [{url: "http://quick.example/"}]}
            """)
        let configuration = AlertingConfiguration(
            groups: [], remedies: [], notify: notify, evaluationIntervalMilliseconds: 1000)
        return AlertingCore(state: AlertingState(), configuration: configuration, installation: "i", now: Self.now)
    }

    /// Adds a message of a group of its own; the journal has it.
    @discardableResult
    private func add(_ receiver: String, _ group: Int, to core: inout AlertingCore) -> String {
        let lane = OutboxLane(groupKey: "{}:{group=\"\(group)\"}", receiver: receiver, integration: "webhook[0]")
        let key = core.nextIdentifier()
        core.record(
            .intent(
                OutboxMessage(
                    idempotencyKey: key, lane: lane, status: "firing", reason: "", createdAt: Self.now,
                    deadline: Self.now + 86_400_000, content: MessageContent(contentType: "", body: [1]), alerts: [])))
        core.confirm(core.takeEntries())
        return key
    }

    private func due(_ core: inout AlertingCore, _ now: Int64 = Self.now) -> [String] {
        core.takeDueMessages(now: now).map(\.message.lane.receiver)
    }

    @Test func aReceiverThatHangsKeepsNoOtherWaiting() throws {
        var core = try core()
        for group in 0..<30 { add("slow", group, to: &core) }
        #expect(due(&core).count == AlertingCore.attemptsAtOnceMaximum)
        add("quick", 0, to: &core)
        #expect(due(&core) == ["quick"])
        // Only the end of an attempt makes room for the slow one; nobody looks again and again in between.
        #expect(core.nextDeliveryTime(now: Self.now) == nil)
        let slow = core.inFlight.sorted().first { core.state.deliveries[$0]?.message.lane.receiver == "slow" }
        let ended = try #require(slow)
        core.attempted(ended, .accepted, now: Self.now)
        core.confirm(core.takeEntries())
        #expect(due(&core) == ["slow"])
    }

    @Test func aClockThatWasSetBackPutsNoMessageOff() throws {
        var core = try core()
        let key = add("quick", 0, to: &core)
        #expect(due(&core) == ["quick"])
        core.attempted(key, .retry(reason: "status 500", afterMilliseconds: nil), now: Self.now)
        #expect(due(&core).isEmpty, "not before its delay has passed")
        #expect(due(&core, Self.now - 1) == ["quick"], "the attempt lies ahead of the clock")
    }

    @Test func aClockThatWasSetBackKeepsNobodyFromARepetition() {
        let alert = Fingerprint(rawValue: 1)
        let lane = OutboxLane(groupKey: "g", receiver: "quick", integration: "webhook[0]")
        let memory = GroupMemory(key: lane, firing: [alert], resolved: [], toldAt: Self.now)
        func reason(at now: Int64) -> Notification.Reason? {
            GroupMemory.reason(
                after: memory, firing: [alert], resolved: [], sendsResolved: true,
                repeatIntervalMilliseconds: 3_600_000,
                now: now)
        }
        #expect(reason(at: Self.now) == nil)
        #expect(reason(at: Self.now + 3_600_000) == .repeatInterval)
        #expect(reason(at: Self.now - 86_400_000) == .repeatInterval)
    }

    @Test func anOutageIsToldOnceAndSoIsItsEnd() throws {
        var core = try core()
        let keys = (0..<2).map { add("quick", $0, to: &core) }
        _ = due(&core)
        for key in keys { core.attempted(key, .retry(reason: "status 503", afterMilliseconds: nil), now: Self.now) }
        #expect(
            core.takeNotices() == [
                "receiver quick/webhook[0] does not take messages (status 503). They are kept and tried again; "
                    + "`vedette alerts` lists them"
            ])
        core.attempted(keys[0], .accepted, now: Self.now)
        #expect(core.takeNotices() == [], "another one waits still")
        core.attempted(keys[1], .accepted, now: Self.now)
        #expect(core.takeNotices() == ["receiver quick/webhook[0] takes messages again; none waits for it any more"])
    }

    @Test func aMessageThatIsGivenUpIsTold() throws {
        var core = try core()
        let (refused, late) = (add("quick", 0, to: &core), add("quick", 1, to: &core))
        core.attempted(refused, .refused(reason: "status 413"), now: Self.now)
        #expect(
            core.takeNotices() == [
                "receiver quick/webhook[0] was not told that {}:{group=\"0\"} is firing (refused for good: status "
                    + "413). Tell people yourself; the audit log has it"
            ])
        #expect(due(&core, Self.now + 90_000_000).isEmpty)
        #expect(core.state.deliveries[late]?.state == .dead)
        #expect(core.takeNotices().map { $0.contains("it was not taken in time") } == [true])
    }
}
