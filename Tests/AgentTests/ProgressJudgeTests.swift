import Testing

@testable import Agent

/// Whose work stands still is stuck; who has nothing to do is not.
@Suite struct ProgressJudgeTests {
    @Test func onlyWhoHasWorkAndDoesNoneIsStuck() {
        var judge = ProgressJudge(patienceNanoseconds: 30)
        #expect(judge.stuck([("a", 1), ("b", nil), ("c", 7)], nowNanoseconds: 0) == [])
        #expect(judge.stuck([("a", 2), ("b", nil), ("c", 7)], nowNanoseconds: 20) == [])
        #expect(judge.stuck([("a", 3), ("b", nil), ("c", 7)], nowNanoseconds: 30) == ["c"])
        #expect(judge.stuck([("a", 3), ("b", 9), ("c", 7)], nowNanoseconds: 59) == ["c"])
        #expect(judge.stuck([("a", 3), ("b", 9), ("c", 8)], nowNanoseconds: 60) == ["a"])
        #expect(judge.stuck([("a", 4), ("b", nil), ("c", 8)], nowNanoseconds: 70) == [])
        // A thread that never began is stuck too.
        #expect(judge.stuck([("d", 0)], nowNanoseconds: 100) == [])
        #expect(judge.stuck([("d", 0)], nowNanoseconds: 130) == ["d"])
    }
}
