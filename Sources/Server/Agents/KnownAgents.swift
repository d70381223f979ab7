internal import Synchronization
internal import Wire

/// The agents that sent something since the server started, with what they said about themselves.
final class KnownAgents: Sendable {
    /// One agent as it was last seen.
    struct Entry: Sendable {
        var information: AgentInformation
        var lastSeenNanoseconds: Int64
        var remoteAddress: String
        var batches: UInt64
        /// The agent's clock minus ours when its last batch arrived, transit included.
        var clockOffsetNanoseconds: Int64
    }

    /// More are stored all the same; they are only not listed.
    static let maximum = 50_000
    private let state = Mutex<[String: Entry]>([:])

    /// Takes note of a batch.
    func saw(_ information: AgentInformation, nowNanoseconds: Int64, remoteAddress: String) {
        let offset = information.sentNanoseconds.subtractingReportingOverflow(nowNanoseconds).partialValue
        state.withLock { state in
            let batches = state[information.agent]?.batches ?? 0
            if batches == 0 && state.count >= KnownAgents.maximum { return }
            state[information.agent] = Entry(
                information: information, lastSeenNanoseconds: nowNanoseconds, remoteAddress: remoteAddress,
                batches: batches + 1, clockOffsetNanoseconds: offset)
        }
    }

    /// All of them, by node name.
    var entries: [Entry] {
        state.withLock { state in
            state.values.sorted {
                ($0.information.node, $0.information.agent) < ($1.information.node, $1.information.agent)
            }
        }
    }

    /// How many were seen since `nanoseconds`, and how many at all.
    func counts(since nanoseconds: Int64) -> (recent: Int, all: Int) {
        state.withLock { state in
            (state.values.reduce(0) { $0 + ($1.lastSeenNanoseconds >= nanoseconds ? 1 : 0) }, state.count)
        }
    }
}
