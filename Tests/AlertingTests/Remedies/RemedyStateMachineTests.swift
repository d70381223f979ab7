import Telemetry
import Testing
import Wire

@testable import Alerting

/// An action moves by its rules, each move once.
@Suite struct RemedyStateMachineTests {
    private func step(
        _ record: ActionRecord?, _ input: RemedyStateMachine.Input, at now: Int64, remedy: Remedy? = nil
    ) throws -> ActionRecord? {
        let record = try #require(record)
        return RemedyStateMachine(remedy: try remedy ?? RemedySamples.remedy(), now: now).step(record, input)
    }

    private func report(_ outcome: CommandReport.Outcome) -> RemedyStateMachine.Input {
        .reported(CommandReport(id: "inst-1", outcome: outcome, reason: "why", nanoseconds: 0))
    }

    @Test func theWholeWayFromProposalToVerification() throws {
        var record = try step(RemedySamples.record(), .decided(obstacle: nil), at: 1100)
        #expect(record?.state == .freezing)
        record = try step(record, .evidenceFrozen(path: "evidence/inst-1.json", hash: "ab"), at: 1200)
        #expect(record?.state == .commanded)
        #expect(record?.expiresAt == 61_200)
        record = try step(record, report(.started), at: 1300)
        #expect(record?.state == .started)
        record = try step(record, report(.done), at: 1400)
        #expect(record?.state == .verifying)
        #expect(try step(record, .observed(.matches), at: 2000) == nil)
        record = try step(record, .observed(.matchesNot), at: 5000)
        #expect(record?.quietSince == 5000)
        #expect(try step(record, .observed(.matchesNot), at: 6000) == nil)
        record = try step(record, .observed(.matchesNot), at: 7000)
        #expect(record?.state == .verified)
        #expect(record?.history.map(\.state) == [.blocked, .freezing, .commanded, .started, .verifying, .verified])
        #expect(
            record?.history[3].text == "the agent on its host allows container.restart and has begun: why")
        #expect(
            record?.history[4].text.hasPrefix("container.restart was carried out: why; watching for up to ") == true)
    }

    @Test func missingDataVerifiesNothing() throws {
        var record = RemedySamples.record(.verifying)
        record.doneAt = 1000
        #expect(try step(record, .observed(.noData), at: 5000) == nil)
        let quiet = try #require(try step(record, .observed(.matchesNot), at: 6000))
        let lost = try #require(try step(quiet, .observed(.noData), at: 7000))
        #expect(lost.quietSince == nil)
        #expect(try step(lost, .observed(.noData), at: 62_000)?.state == .notVerified)
    }

    @Test func modesDecideHowFarItGoes() throws {
        let ends: [(String, ActionRecord.State)] = [
            ("shadow", .shadowed), ("approve", .awaitingApproval), ("off", .cancelled),
        ]
        for (mode, state) in ends {
            let remedy = try RemedySamples.remedy(mode: mode)
            #expect(try step(RemedySamples.record(), .decided(obstacle: nil), at: 1100, remedy: remedy)?.state == state)
        }
    }

    @Test func approvalAsksTheGuardRailsAgain() throws {
        let remedy = try RemedySamples.remedy(mode: "approve")
        var record = try step(RemedySamples.record(), .decided(obstacle: nil), at: 1100, remedy: remedy)
        record = try step(record, .approved(by: "li"), at: 2000, remedy: remedy)
        #expect(record?.state == .blocked)
        let blocked = try step(record, .decided(obstacle: "blackout"), at: 2100, remedy: remedy)
        #expect(blocked?.state == .blocked)
        let free = try step(blocked, .decided(obstacle: nil), at: 3000, remedy: remedy)
        #expect(free?.state == .freezing)
        #expect(free?.approvedBy == "li")
    }

    @Test func nobodyApprovesForEver() throws {
        let record = RemedySamples.record(.awaitingApproval)
        #expect(try step(record, .timePassed, at: 3_600_000) == nil)
        #expect(try step(record, .timePassed, at: 3_602_000)?.state == .cancelled)
    }

    @Test func theAgentsWordEndsIt() throws {
        #expect(try step(RemedySamples.record(.commanded), report(.refused), at: 2000)?.state == .refused)
        #expect(try step(RemedySamples.record(.started), report(.failed), at: 2000)?.state == .failed)
        // Said again, or too late: nothing changes.
        #expect(try step(RemedySamples.record(.verified), report(.done), at: 2000) == nil)
        #expect(try step(RemedySamples.record(.verifying), report(.started), at: 2000) == nil)
    }

    @Test func silenceOfTheAgentEndsIt() throws {
        var record = RemedySamples.record(.commanded)
        record.expiresAt = 61_000
        #expect(try step(record, .timePassed, at: 120_000) == nil)
        #expect(try step(record, .timePassed, at: 121_001)?.state == .timedOut)
        #expect(try step(RemedySamples.record(.started), .timePassed, at: 122_000)?.state == .timedOut)
    }

    @Test func anAlertThatEndsTakesBackWhatHasNotBegun() throws {
        for state in [ActionRecord.State.blocked, .awaitingApproval, .freezing] {
            #expect(try step(RemedySamples.record(state), .alertEnded, at: 2000)?.state == .cancelled)
        }
        for state in [ActionRecord.State.commanded, .started, .verifying] {
            #expect(try step(RemedySamples.record(state), .alertEnded, at: 2000) == nil)
        }
    }

    @Test func targetsAreImmutableIds() {
        let id = RemedySamples.target
        #expect(RemedyTarget.container(Labels(["container_id": id])) == id)
        #expect(RemedyTarget.container(Labels(["id": "/docker/\(id)"])) == id)
        #expect(RemedyTarget.container(Labels(["id": "/system.slice/docker-\(id).scope"])) == id)
        for text in ["web", "/docker/abc", "\(id)0", ""] {
            #expect(RemedyTarget.container(Labels(["id": text])) == nil)
        }
        #expect(RemedyTarget.container(Labels(["name": id])) == nil)
    }
}
