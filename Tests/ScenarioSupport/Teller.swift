internal import Foundation

/// Hands the steps of a story to its narrator in the order in which they happened, though they are learnt of from
/// several witnesses, each with a clock reading of its own.
final class Teller {
    private let narrator: OOMRound.Narrator
    private var waiting: [(chapter: OOMRound.Chapter, what: String, nanoseconds: Int64)] = []
    private var toldStates: Set<String> = []
    /// When the kernel killed the container; nil before it did.
    var killedNanoseconds: Int64?

    init(_ narrator: @escaping OOMRound.Narrator) {
        self.narrator = narrator
    }

    /// Takes in a step; without a time it happened just now.
    func tell(_ chapter: OOMRound.Chapter, _ what: String, at nanoseconds: Int64? = nil) {
        waiting.append((chapter, what, nanoseconds ?? Int64(Date().timeIntervalSince1970 * 1e9)))
    }

    /// Takes in what has become of the action on a container since the last call.
    func tell(actionFor id: String, on stage: HealingStage) async throws {
        guard let action = try await OOMRound.action(for: id, on: stage) else { return }
        for step in action["history"].array where toldStates.insert(step["state"].string).inserted {
            let time = try OOMRound.nanoseconds(rfc3339: step["at"].string)
            switch step["state"].string {
            case "freezing": tell(.kept, "no guard-rail forbids a restart; the evidence is being frozen", at: time)
            case "commanded":
                let hash = action["evidenceHash"].string.prefix(16)
                tell(.kept, "the evidence is on disk (SHA-256 \(hash)…); the restart is commanded", at: time)
            case "started": tell(.healed, "the host's own allow-list permits it; the agent begins", at: time)
            case "verified": tell(.healed, "verified: \(step["text"].string)", at: time)
            default: break
            }
        }
    }

    /// Hands on what was taken in.
    func flush() {
        for step in waiting.sorted(by: { $0.nanoseconds < $1.nanoseconds }) {
            let since = killedNanoseconds.map { Double(step.nanoseconds - $0) / 1e9 }
            narrator(
                OOMRound.Step(
                    chapter: step.chapter, what: step.what, nanoseconds: step.nanoseconds, secondsSinceKill: since))
        }
        waiting = []
    }
}
