import Testing

@testable import Agent

/// When the agent reads less often, and when it goes back. One window is ten seconds.
@Suite struct DegradeLadderTests {
    private final class Play {
        var ladder = DegradeLadder(SelfLimits(processorShare: 0.1, memoryBytes: 100 << 20))
        var now: Int64 = 0
        var usage = DegradeLadder.Usage(cpuSeconds: 0, collectionSeconds: 0, memoryBytes: 1 << 20)

        init() { _ = ladder.judge(usage, atNanoseconds: 0) }

        /// Ten seconds in which the agent took `share` of a processor, `collection` of it for reading.
        func window(_ share: Double, collection: Double = 0, mebibytes: UInt64 = 1) -> Int {
            now += 10_000_000_000
            usage.cpuSeconds += share * 10
            usage.collectionSeconds += collection * 10
            usage.memoryBytes = mebibytes << 20
            _ = ladder.judge(usage, atNanoseconds: now)
            return ladder.factor
        }
    }

    @Test func tooMuchOfAProcessorLeadsUpStepByStep() {
        let play = Play()
        #expect(play.window(0.09) == 1)
        #expect(play.window(0.2, collection: 0.2) == 5)
        #expect(play.window(0.2, collection: 0.2) == 15)
        #expect(play.window(0.2, collection: 0.2) == 15)
    }

    @Test func tooMuchMemoryLeadsUp() {
        let play = Play()
        #expect(play.window(0, mebibytes: 101) == 5)
        // Nearly as much as allowed is no reason to go back.
        for _ in 0..<20 { #expect(play.window(0, mebibytes: 95) == 5) }
    }

    @Test func theWayBackTakesAMinuteAndRoom() {
        let play = Play()
        _ = play.window(0.15, collection: 0.15)
        // At every interval it would take 15 % again.
        for _ in 0..<20 { #expect(play.window(0.03, collection: 0.03) == 5) }
        for _ in 0..<5 { #expect(play.window(0.01, collection: 0.01) == 5) }
        #expect(play.window(0.01, collection: 0.01) == 1)
    }

    @Test func whatReadingDoesNotCauseDoesNotKeepItSlow() {
        let play = Play()
        _ = play.window(0.15, collection: 0.01)
        // Log lines cost as much at any step.
        for _ in 0..<5 { #expect(play.window(0.06, collection: 0.002) == 5) }
        #expect(play.window(0.06, collection: 0.002) == 1)
    }

    @Test func aReturnThatCameTooEarlyDoublesTheWait() {
        let play = Play()
        _ = play.window(0.15)
        for _ in 0..<6 { _ = play.window(0.01) }
        #expect(play.ladder.factor == 1)
        #expect(play.window(0.15) == 5)
        for _ in 0..<11 { #expect(play.window(0.01) == 5) }
        #expect(play.window(0.01) == 1)
    }

    @Test func withoutLimitsNothingChanges() {
        var ladder = DegradeLadder(SelfLimits(processorShare: 0, memoryBytes: 0))
        for second in 0..<5 {
            let usage = DegradeLadder.Usage(
                cpuSeconds: Double(second) * 100, collectionSeconds: 0, memoryBytes: .max)
            let change = ladder.judge(usage, atNanoseconds: Int64(second) * 20_000_000_000)
            #expect(change == nil)
        }
    }
}
