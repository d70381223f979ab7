import Telemetry
import Testing

@testable import Agent

/// One kill is one incident, whoever saw it and however late.
@Suite struct IncidentCorrelatorTests {
    private static let record = KernelRecord.OOMKill(
        constraint: "CONSTRAINT_MEMCG", limitedBy: "/docker/c", group: "/docker/c", task: "sh", pid: 7)
    private static let millisecond: Int64 = 1_000_000

    private static func at(_ milliseconds: Int64) -> IncidentCorrelator.Moment {
        IncidentCorrelator.Moment(wall: 1_000 + milliseconds, monotonic: milliseconds * millisecond)
    }

    private static func due(
        _ correlator: inout IncidentCorrelator, _ milliseconds: Int64
    ) -> [IncidentCorrelator.Incident] {
        correlator.takeDue(atNanoseconds: milliseconds * millisecond)
    }

    @Test func twoSourcesThatAgreeAreToldAtOnce() {
        var correlator = IncidentCorrelator()
        correlator.saw(.killRecord(Self.record), of: "c", by: .kernelLog, at: Self.at(0))
        #expect(Self.due(&correlator, 1).isEmpty)
        correlator.saw(.killCount(1), of: "c", by: .cgroup, at: Self.at(2))
        let incidents = Self.due(&correlator, 2)
        #expect(incidents.map(\.kind) == [.oomKill])
        #expect(incidents.first?.sources == [.kernelLog, .cgroup])
        #expect(incidents.first?.count == 1)
        #expect(incidents.first?.details["victim"] == "sh")
        #expect(correlator.nextDeadline == nil)
    }

    @Test func aLoneSourceIsToldWithinTheTimePromised() {
        for (sighting, source) in [
            (IncidentCorrelator.Sighting.killCount(1), IncidentCorrelator.Source.cgroup),
            (.killRecord(Self.record), .kernelLog),
        ] {
            var correlator = IncidentCorrelator()
            correlator.saw(sighting, of: "c", by: source, at: Self.at(0))
            #expect(Self.due(&correlator, 50).count == 1)
            #expect(IncidentCorrelator.killGatherNanoseconds < 100 * Self.millisecond)
        }
    }

    @Test func whoeverComesLaterOnlyConfirms() {
        var correlator = IncidentCorrelator()
        correlator.saw(.killCount(1), of: "c", by: .cgroup, at: Self.at(0))
        #expect(Self.due(&correlator, 30).count == 1)
        correlator.saw(.killRecord(Self.record), of: "c", by: .kernelLog, at: Self.at(40))
        correlator.saw(.killClaim, of: "c", by: .engine, at: Self.at(90))
        #expect(Self.due(&correlator, 5_000).isEmpty)
    }

    @Test func anEngineThatWasStoppedForAMinuteSaysNothingNew() {
        var correlator = IncidentCorrelator()
        correlator.saw(.killRecord(Self.record), of: "c", by: .kernelLog, at: Self.at(0))
        correlator.saw(.exit(code: nil), of: "c", by: .process, at: Self.at(3))
        #expect(Self.due(&correlator, 200).map(\.kind) == [.oomKill, .exit])
        correlator.saw(.killClaim, of: "c", by: .engine, at: Self.at(60_000))
        correlator.saw(.exit(code: 137), of: "c", by: .engine, at: Self.at(60_001))
        #expect(Self.due(&correlator, 70_000).isEmpty)
    }

    @Test func anEnginesLoneWordCountsAfterAWhileWhereNobodyElseSees() {
        var correlator = IncidentCorrelator()
        correlator.saw(.killClaim, of: "c", by: .engine, at: Self.at(0))
        #expect(Self.due(&correlator, 500).isEmpty)
        let incidents = Self.due(&correlator, 1_001)
        #expect(incidents.map(\.kind) == [.oomKill])
        #expect(incidents.first?.sources == [.engine])
    }

    @Test func twoVictimsAreTwoKills() {
        var correlator = IncidentCorrelator()
        var second = Self.record
        second.pid = 8
        correlator.saw(.killRecord(Self.record), of: "c", by: .kernelLog, at: Self.at(0))
        correlator.saw(.killRecord(second), of: "c", by: .kernelLog, at: Self.at(1))
        correlator.saw(.killCount(2), of: "c", by: .cgroup, at: Self.at(2))
        #expect(Self.due(&correlator, 2).map(\.count) == [2])
        second.pid = 9
        correlator.saw(.killRecord(second), of: "c", by: .kernelLog, at: Self.at(100))
        #expect(Self.due(&correlator, 200).map(\.count) == [1])
    }

    @Test func theNextKillOfTheSameContainerIsAnother() {
        var correlator = IncidentCorrelator()
        for start in [0, 60_000] as [Int64] {
            correlator.saw(.killCount(1), of: "c", by: .cgroup, at: Self.at(start))
            correlator.saw(.killRecord(Self.record), of: "c", by: .kernelLog, at: Self.at(start + 1))
            #expect(Self.due(&correlator, start + 1).count == 1)
        }
    }

    @Test func anExitWaitsForItsCodeAndNoLonger() {
        var correlator = IncidentCorrelator()
        correlator.saw(.exit(code: nil), of: "c", by: .process, at: Self.at(0))
        #expect(Self.due(&correlator, 20).isEmpty)
        correlator.saw(.exit(code: 3), of: "c", by: .engine, at: Self.at(30))
        let incidents = Self.due(&correlator, 30)
        #expect(incidents.first?.details["exit_code"] == "3")
        #expect(incidents.first?.details["oom_killed"] == nil)
        correlator.saw(.exit(code: nil), of: "d", by: .process, at: Self.at(100))
        #expect(Self.due(&correlator, 199).map(\.container) == ["d"])
    }

    @Test func aCrashLoopIsOneIncidentPerCrashAndBoundedInMemory() {
        var correlator = IncidentCorrelator()
        var told = 0
        for round in 0..<500 as Range<Int64> {
            let start = round * 200
            correlator.saw(.exit(code: nil), of: "c", by: .process, at: Self.at(start))
            correlator.saw(.exit(code: 1), of: "c", by: .engine, at: Self.at(start + 40))
            told += Self.due(&correlator, start + 150).count
        }
        #expect(told == 500)
    }

    @Test func anExitSeenByTheEngineAloneDoesNotSwallowALaterOne() {
        var correlator = IncidentCorrelator()
        correlator.saw(.exit(code: 1), of: "c", by: .engine, at: Self.at(0))
        #expect(Self.due(&correlator, 100).count == 1)
        correlator.saw(.exit(code: nil), of: "c", by: .process, at: Self.at(10_000))
        #expect(Self.due(&correlator, 10_200).count == 1)
    }

    @Test func kernelRecordsAreReadOldAndNew() {
        let new = """
            6,1234,1449038647,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,\
            oom_memcg=/docker/a,task_memcg=/docker/a/b,task=java,pid=15409,uid=0\n
            """
        #expect(
            KernelRecord(new[...])
                == .oomKill(
                    KernelRecord.OOMKill(
                        constraint: "CONSTRAINT_MEMCG", limitedBy: "/docker/a", group: "/docker/a/b", task: "java",
                        pid: 15_409)))
        let host =
            "6,1,1,-;oom-kill:constraint=CONSTRAINT_NONE,mems_allowed=0,2,global_oom,task_memcg=/x,task=y,pid=3,uid=0"
        guard case .oomKill(let kill)? = KernelRecord(host[...]) else {
            Issue.record("a host-wide kill is not read")
            return
        }
        #expect(kill.limitedBy == nil && kill.pid == 3)
        let killed =
            "3,1,1,-;Memory cgroup out of memory: Killed process 15409 (sh) total-vm:51428kB, anon-rss:32296kB, file-rss:1kB"
        #expect(KernelRecord(killed[...]) == .killed(pid: 15_409, name: "sh", anonymousKilobytes: 32_296))
        let old = "6,1,1,-;Task in /docker/x killed as a result of limit of /docker/y"
        #expect(KernelRecord(old[...]) == .taskKilled(group: "/docker/x", limitedBy: "/docker/y"))
        for other in [
            "", "6,1,1,-", "6,1,1,-;eth0: link up", "6,1,1,-;oom-kill:constraint=x", "6,1,1,-;Killed process x",
        ] {
            #expect(KernelRecord(other[...]) == nil)
        }
    }
}
