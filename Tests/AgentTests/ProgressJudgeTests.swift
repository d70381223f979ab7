import Testing

@testable import Agent

/// Whose work stands still is stuck; who has nothing to do is not.
@Suite struct ProgressJudgeTests {
    private func stuck(
        _ judge: inout ProgressJudge, _ beats: [(name: String, beat: UInt64?)], at nanoseconds: Int64
    ) -> [String] {
        judge.stuck(beats, nowNanoseconds: nanoseconds)
    }

    @Test func onlyWhoHasWorkAndDoesNoneIsStuck() {
        var judge = ProgressJudge(patienceNanoseconds: 30)
        #expect(stuck(&judge, [("a", 1), ("b", nil), ("c", 7)], at: 0) == [])
        #expect(stuck(&judge, [("a", 2), ("b", nil), ("c", 7)], at: 20) == [])
        #expect(stuck(&judge, [("a", 3), ("b", nil), ("c", 7)], at: 30) == ["c"])
        #expect(stuck(&judge, [("a", 3), ("b", 9), ("c", 7)], at: 59) == ["c"])
        #expect(stuck(&judge, [("a", 3), ("b", 9), ("c", 8)], at: 60) == ["a"])
        #expect(stuck(&judge, [("a", 4), ("b", nil), ("c", 8)], at: 70) == [])
        // A thread that never began is stuck too.
        #expect(stuck(&judge, [("d", 0)], at: 100) == [])
        #expect(stuck(&judge, [("d", 0)], at: 130) == ["d"])
    }
}
