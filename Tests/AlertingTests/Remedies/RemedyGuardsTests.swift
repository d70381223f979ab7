import Telemetry
import Testing

@testable import Alerting

/// Nothing moves an action past a guard-rail.
@Suite struct RemedyGuardsTests {
    private func facts(
        _ actions: [ActionRecord] = [], now: Int64 = 100_000, change: (inout RemedyGuards.Facts) -> Void = { _ in }
    ) -> RemedyGuards.Facts {
        var facts = RemedyGuards.Facts(
            now: now, actions: actions, control: nil, recordingFault: nil, agent: "agent-1", agentHeardAt: now - 1000,
            population: 10, unhealthy: 1, contraindication: nil)
        change(&facts)
        return facts
    }

    /// Why the action is not done; empty when nothing forbids it.
    private func obstacle(
        _ facts: RemedyGuards.Facts, alert: AlertInstance? = RemedySamples.alert, more: String = ""
    ) throws -> String {
        let guards = RemedyGuards(remedy: try RemedySamples.remedy(more), facts: facts)
        return guards.obstacle(RemedySamples.record(), alert: alert) ?? ""
    }

    @Test func nothingForbidsAnOrdinaryAction() throws {
        #expect(try obstacle(facts()) == "")
    }

    @Test func whatCannotBeRecordedIsNotDone() throws {
        #expect(try obstacle(facts { $0.recordingFault = "disk full" }).contains("disk full"))
    }

    @Test func whatIsNotSeenIsNotTouched() throws {
        var alert = RemedySamples.alert
        alert.noDataSince = 5000
        #expect(try obstacle(facts(), alert: alert).contains("no data"))
        #expect(try obstacle(facts { $0.agentHeardAt = 60_000 }).contains("silent"))
        #expect(try obstacle(facts { $0.agent = nil }).contains("no agent"))
        #expect(try obstacle(facts(), alert: nil).contains("does not fire"))
    }

    @Test func cooldownGrowsWithFailuresAndForgetsThemOnSuccess() throws {
        let more = "cooldown: 10s\n    budget: {service: 100/1h}"
        let verified = RemedySamples.record(.verified, id: "inst-0", at: 95_000)
        #expect(try obstacle(facts([verified]), more: more) == "cooldown of 10s")
        #expect(try obstacle(facts([verified], now: 105_000), more: more) == "")
        let failed = [
            RemedySamples.record(.notVerified, id: "inst-0", at: 80_000),
            RemedySamples.record(.failed, id: "inst-2", at: 95_000),
        ]
        #expect(try obstacle(facts(failed, now: 120_000), more: more).contains("cooldown of 40s after 2"))
        #expect(try obstacle(facts(failed, now: 136_000), more: more) == "")
        let recovered = failed + [RemedySamples.record(.verified, id: "inst-3", at: 100_000)]
        #expect(try obstacle(facts(recovered, now: 111_000), more: more) == "")
    }

    @Test func budgetsCountPerRuleServiceAndCluster() throws {
        let more = "cooldown: 0s\n    budget: {rule: 5/1h, service: 2/1h, cluster: 3/10m}"
        func done(_ id: String, service: String = "web", remedy: String = "restart", at time: Int64) -> ActionRecord {
            var record = RemedySamples.record(.verified, id: id, at: time)
            record.service = service
            record.remedy = remedy
            record.target = id
            return record
        }
        let two = [done("a", at: 10_000), done("b", remedy: "other", at: 20_000)]
        #expect(try obstacle(facts(two), more: more) == "budget of service is used up: 2 of 2 in 1h")
        let others = (0..<3).map { done("\($0)", service: "db", remedy: "other", at: 90_000) }
        #expect(try obstacle(facts(others), more: more).contains("budget of cluster"))
        #expect(try obstacle(facts(others, now: 800_000), more: more) == "")
        let shadowed = two.map { record in
            var record = record
            record.state = .shadowed
            return record
        }
        #expect(try obstacle(facts(shadowed), more: more) == "")
    }

    @Test func tooManyUnhealthyAtOnceIsNoMatterForSingleActions() throws {
        #expect(try obstacle(facts { $0.unhealthy = 6 }).contains("6 of 10 are unhealthy"))
        #expect(try obstacle(facts { $0.unhealthy = 5 }) == "")
        // One of one is always all.
        var alone = facts()
        alone.population = 1
        #expect(try obstacle(alone) == "")
        #expect(try obstacle(facts { $0.unhealthy = 4 }, more: "max_unhealthy: 30%").contains("unhealthy"))
    }

    @Test func pausesSuspensionsAndRunningActionsForbid() throws {
        var paused = facts()
        paused.control = RemedyControl(remedy: "restart")
        paused.control?.pausedBy = "li"
        #expect(try obstacle(paused).contains("paused by li"))
        let suspension = RemedyControl.Suspension(target: RemedySamples.target, reason: "did not help", at: 0)
        paused.control?.pausedBy = ""
        paused.control?.suspensions = [suspension]
        #expect(try obstacle(paused).contains("suspended"))
        var running = RemedySamples.record(.verifying, id: "inst-0", at: 0)
        running.remedy = "other"
        #expect(try obstacle(facts([running])).contains("not finished"))
    }

    @Test func contraindicationsForbid() throws {
        #expect(try obstacle(facts { $0.contraindication = "host is hot" }) == "host is hot")
    }

    private func window(_ text: String) throws -> BlackoutWindow {
        try RemedySamples.remedy("blackout: [{\(text)}]").blackouts[0]
    }

    @Test func blackoutsKnowDaysTimesAndZones() throws {
        // 2023-11-14 is a Tuesday.
        let tuesday = try #require(Timestamps.nanoseconds(rfc3339: "2023-11-14T00:00:00Z")) / 1_000_000
        func at(_ hour: Double, day: Int64 = 0) -> Int64 { tuesday + day * 86_400_000 + Int64(hour * 3_600_000) }
        let trading = try window("days: [mon-fri], from: \"09:00\", to: \"15:30\", timezone: \"+08:00\"")
        #expect(trading.contains(at(1)))
        #expect(trading.contains(at(7.49)))
        #expect(!trading.contains(at(7.5)))
        #expect(!trading.contains(at(0.9)))
        #expect(!trading.contains(at(3, day: 4)))
        let night = try window("days: [tue], from: \"22:00\", to: \"02:00\"")
        #expect(night.contains(at(23)))
        #expect(night.contains(at(1, day: 1)))
        #expect(!night.contains(at(1)))
        #expect(!night.contains(at(23, day: 1)))
        let always = "from: \"00:00\", to: \"24:00\""
        #expect(try window(always).contains(at(12)))
        #expect(try obstacle(facts(now: at(12)), more: "blackout: [{\(always)}]").contains("blackout"))
    }
}
