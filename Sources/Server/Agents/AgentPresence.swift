internal import Synchronization
internal import Telemetry

/// Whether one identity is used by two agents at once: a virtual machine that was cloned, a data folder that was
/// copied. Both would number their batches alike, and each would lose what the other sent first; so one of them is
/// held off, and it is told.
///
/// An agent says with every call which boot of its host and which run of its program speaks. Whoever speaks keeps the
/// identity. A run of another boot is held off while the one before was heard a moment ago: a host that really was
/// restarted is silent, so its agent waits that moment once. Another run of the same boot takes over at once (the
/// agent was restarted), and the run before it is held off from then on.
final class AgentPresence: Sendable {
    /// The field that says it: 16 hexadecimal digits for the boot, a dot, 16 for the run.
    static let field = "X-Vedette-Agent-Run"
    /// Whoever was silent for so long does not live any more.
    static let silenceNanoseconds: Int64 = 15_000_000_000

    /// One agent as it speaks.
    private struct Holder {
        var boot: Substring
        var run: Substring
        var heardNanoseconds: Int64
        var remoteAddress: String
        /// Runs of the same boot that this one took over from.
        var former: Set<Substring> = []
        /// When another one was held off first. It is a conflict once this one speaks after that.
        var heldOffNanoseconds: Int64?
        var conflict: Conflict?
        /// When somebody was told of it last.
        var toldNanoseconds: Int64?
    }

    /// Two at once, as it was seen last.
    struct Conflict: Sendable, Equatable {
        var holderAddress: String
        var otherAddress: String
        var seenNanoseconds: Int64
    }

    /// What becomes of a call.
    enum Verdict: Sendable, Equatable {
        case heard
        /// Another one speaks under the identity: the call is refused for a while. `isNews` when nobody was told yet.
        case heldOff(Conflict, isNews: Bool)
    }

    private let state = Mutex<[String: Holder]>([:])
    /// More are not looked at: far beyond what one server can serve.
    private static let agentsMaximum = 100_000
    /// A conflict is news again after so long.
    private static let newsNanoseconds: Int64 = 300_000_000_000

    /// Takes note that `agent` speaks, as the run that its field says (nil: an older agent, which is believed).
    func heard(_ agent: String, run field: String?, remoteAddress: String, nowNanoseconds now: Int64) -> Verdict {
        let parts = (field ?? "").split(separator: ".")
        guard parts.count == 2 else { return .heard }
        return state.withLock { agents in
            guard var holder = agents[agent], now - holder.heardNanoseconds < AgentPresence.silenceNanoseconds else {
                if agents[agent] != nil || agents.count < AgentPresence.agentsMaximum {
                    agents[agent] = Holder(
                        boot: parts[0], run: parts[1], heardNanoseconds: now, remoteAddress: remoteAddress)
                }
                return .heard
            }
            let isSameBoot = holder.boot == parts[0]
            if isSameBoot, holder.run == parts[1] {
                holder.heardNanoseconds = now
                holder.remoteAddress = remoteAddress
                agents[agent] = holder
                return .heard
            }
            if isSameBoot, !holder.former.contains(parts[1]) {
                holder.former.insert(holder.run)
                holder.run = parts[1]
                holder.heardNanoseconds = now
                holder.remoteAddress = remoteAddress
                agents[agent] = holder
                return .heard
            }
            let conflict = Conflict(
                holderAddress: holder.remoteAddress, otherAddress: remoteAddress, seenNanoseconds: now)
            // The first call of a restarted host is no conflict: that two speak is known when the other one does.
            let isProven = holder.heldOffNanoseconds.map { holder.heardNanoseconds > $0 } ?? false
            let isNews =
                isProven
                && (holder.toldNanoseconds.map { now - $0 > AgentPresence.newsNanoseconds } ?? true)
            if isNews { holder.toldNanoseconds = now }
            holder.heldOffNanoseconds = holder.heldOffNanoseconds ?? now
            if isProven { holder.conflict = conflict }
            agents[agent] = holder
            return .heldOff(conflict, isNews: isNews)
        }
    }

    /// The conflicts that were seen since `nanoseconds`, by agent.
    func conflicts(since nanoseconds: Int64) -> [String: Conflict] {
        state.withLock { agents in
            agents.compactMapValues { $0.conflict }.filter { $0.value.seenNanoseconds >= nanoseconds }
        }
    }

    /// Forgets an agent.
    func forget(_ agent: String) { state.withLock { $0[agent] = nil } }
}
