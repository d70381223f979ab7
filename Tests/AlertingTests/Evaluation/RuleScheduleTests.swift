import Testing

@testable import Alerting

/// Groups are evaluated at aligned times of their own; what cannot be evaluated in time is counted and left out.
@Suite struct RuleScheduleTests {
    @Test func ticksAreAlignedAndSpreadOut() {
        var schedule = RuleSchedule()
        let groups = (0..<50).map { (identity: "f.yml;g\($0)", interval: Int64(15_000)) }
        schedule.update(groups, now: 1_000_000_007)
        var times: [String: [Int64]] = [:]
        for now in stride(from: Int64(1_000_000_007), to: 1_000_060_007, by: 100) {
            for due in schedule.due(now: now) {
                times[due.group, default: []].append(due.evaluationTime)
                #expect(due.missed == 0)
                schedule.finished(due.group)
            }
        }
        #expect(times.count == 50)
        for list in times.values {
            #expect(list.count == 4)
            #expect(zip(list.dropFirst(), list).allSatisfy { $0 - $1 == 15_000 })
        }
        // Fifty groups do not all come at once.
        #expect(Set(times.values.compactMap { $0.first.map { $0 % 15_000 / 1000 } }).count > 8)
    }

    @Test func aRestartKeepsTheTicks() {
        func offset(startedAt now: Int64) -> Int64? {
            var schedule = RuleSchedule()
            schedule.update([("f;g", 60_000)], now: now)
            return schedule.nextTime.map { $0 % 60_000 }
        }
        #expect(offset(startedAt: 5_000_000) == offset(startedAt: 987_654_321))
    }

    @Test func aBusyGroupMissesItsTicksAndIsCounted() {
        var schedule = RuleSchedule()
        schedule.update([("g", 1000)], now: 0)
        let first = schedule.due(now: 5000)
        #expect(first.count == 1)
        let answer1 = schedule.due(now: 6000)
        #expect(answer1.isEmpty)
        let answer2 = schedule.due(now: 9000)
        #expect(answer2.isEmpty)
        schedule.finished("g")
        let next = schedule.due(now: 9500)
        #expect(next.map(\.missed) == [3])
    }

    @Test func aGroupCanBeTakenOutOfTurnButNotTwice() {
        var schedule = RuleSchedule()
        schedule.update([("g", 60_000)], now: 0)
        let answer3 = schedule.begin("g")
        #expect(answer3)
        let answer4 = schedule.begin("g")
        #expect(!answer4)
        schedule.finished("g")
        let answer5 = schedule.begin("g")
        #expect(answer5)
        let answer6 = schedule.begin("unknown")
        #expect(!answer6)
    }

    @Test func aClockThatJumpsBackDoesNotStopTheTicks() {
        var schedule = RuleSchedule()
        schedule.update([("g", 1000)], now: 10_000_000)
        _ = schedule.due(now: 10_001_000)
        schedule.finished("g")
        // An hour back: the next tick comes within an interval.
        let answer7 = schedule.due(now: 6_400_000)
        #expect(answer7.isEmpty)
        let answer8 = schedule.due(now: 6_401_000)
        #expect(answer8.count == 1)
    }
}
