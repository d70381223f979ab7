import Testing

@testable import Server

/// One identity used twice at once: found, held off, told; a restart is none.
@Suite struct AgentPresenceTests {
    private let presence = AgentPresence()
    private let second: Int64 = 1_000_000_000

    private func heard(_ run: String?, at seconds: Int64, from address: String = "a:1") -> AgentPresence.Verdict {
        presence.heard("x", run: run, remoteAddress: address, nowNanoseconds: seconds * second)
    }

    private func isHeldOff(_ verdict: AgentPresence.Verdict, isNews: Bool) -> Bool {
        if case .heldOff(_, isNews: isNews) = verdict { return true }
        return false
    }

    @Test func aRestartedAgentGoesOnAtOnce() {
        #expect(heard("b1.r1", at: 0) == .heard)
        #expect(heard("b1.r2", at: 1) == .heard)
        #expect(heard("b1.r2", at: 2) == .heard)
        #expect(heard(nil, at: 3) == .heard)
        #expect(presence.conflicts(since: 0).isEmpty)
    }

    @Test func aRestartedHostWaitsOnceAndIsNoConflict() {
        #expect(heard("b1.r1", at: 0) == .heard)
        #expect(isHeldOff(heard("b2.r2", at: 5), isNews: false))
        #expect(isHeldOff(heard("b2.r2", at: 10), isNews: false))
        #expect(heard("b2.r2", at: 16) == .heard)
        #expect(heard("b2.r2", at: 17) == .heard)
        #expect(presence.conflicts(since: 0).isEmpty)
    }

    @Test func aCloneIsHeldOffAndTold() {
        for time in stride(from: Int64(0), to: 600, by: 2) {
            #expect(heard("b1.r1", at: time) == .heard)
            let verdict = heard("b2.r9", at: time + 1, from: "b:9")
            // The first time nobody knows yet; then it is news once in five minutes.
            let isNews = time == 2 || time == 304
            #expect(isHeldOff(verdict, isNews: isNews), "second \(time)")
        }
        let conflict = presence.conflicts(since: 0)["x"]
        #expect(conflict?.holderAddress == "a:1")
        #expect(conflict?.otherAddress == "b:9")
    }

    @Test func aCopiedFolderOnTheSameHostIsFoundToo() {
        #expect(heard("b1.r1", at: 0) == .heard)
        #expect(heard("b1.r2", at: 1) == .heard)
        #expect(isHeldOff(heard("b1.r1", at: 2), isNews: false))
        #expect(heard("b1.r2", at: 3) == .heard)
        #expect(isHeldOff(heard("b1.r1", at: 4), isNews: true))
        #expect(heard("b1.r2", at: 5) == .heard)
    }
}
