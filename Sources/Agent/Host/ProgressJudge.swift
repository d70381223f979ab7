/// Decides whether the watchdog may be fed: only while everything that has work to do does some. Pure.
package struct ProgressJudge: Sendable {
    private var seen: [String: (beat: UInt64?, nanoseconds: Int64)] = [:]
    /// Who stands still longer than this is stuck.
    package let patienceNanoseconds: Int64

    /// A judge with so much patience.
    package init(patienceNanoseconds: Int64) {
        self.patienceNanoseconds = patienceNanoseconds
    }

    /// Takes in what was seen at `now`, and names what is stuck.
    package mutating func stuck(_ beats: [(name: String, beat: UInt64?)], nowNanoseconds now: Int64) -> [String] {
        var stuck: [String] = []
        for (name, beat) in beats {
            if let last = seen[name], let beat, last.beat == beat {
                if now - last.nanoseconds >= patienceNanoseconds { stuck.append(name) }
            } else {
                seen[name] = (beat, now)
            }
        }
        return stuck
    }
}
