internal import Synchronization
package import Wire

/// The agents that sent something since the server started, with what they said about themselves.
package final class KnownAgents: Sendable {
    /// One agent as it was last seen.
    struct Entry: Sendable {
        var information: AgentInformation
        var lastSeenNanoseconds: Int64
        var remoteAddress: String
        var batches: UInt64
        /// The agent's clock minus ours when its last batch arrived, transit included.
        var clockOffsetNanoseconds: Int64
    }

    private struct State {
        var entries: [String: Entry] = [:]
        /// The agent that spoke last for a node.
        var byNode: [String: String] = [:]
    }

    /// More are stored all the same; they are only not listed.
    static let maximum = 50_000
    private let state = Mutex(State())
    /// Who speaks under each identity.
    let presence = AgentPresence()

    /// No agents yet.
    package init() {}

    /// An agent keeps its node against others until it has been silent for so long.
    private static let nodeNanoseconds: Int64 = 60_000_000_000

    /// Takes note of a sign of life. Returns whether the agent speaks for its node only since now.
    @discardableResult
    package func saw(_ information: AgentInformation, nowNanoseconds: Int64, remoteAddress: String) -> Bool {
        let offset = information.sentNanoseconds.subtractingReportingOverflow(nowNanoseconds).partialValue
        return state.withLock { state in
            let batches = state.entries[information.agent]?.batches ?? 0
            if batches == 0 && state.entries.count >= KnownAgents.maximum { return false }
            // An agent speaks for one node: what it called its host before is nobody's any more.
            if let former = state.entries[information.agent]?.information.node, former != information.node,
                state.byNode[former] == information.agent
            {
                state.byNode[former] = nil
            }
            state.entries[information.agent] = Entry(
                information: information, lastSeenNanoseconds: nowNanoseconds, remoteAddress: remoteAddress,
                batches: batches + 1, clockOffsetNanoseconds: offset)
            let speaker = state.byNode[information.node]
            if speaker == information.agent { return false }
            if let speaker, let last = state.entries[speaker]?.lastSeenNanoseconds,
                nowNanoseconds - last < KnownAgents.nodeNanoseconds
            {
                return false
            }
            state.byNode[information.node] = information.agent
            return true
        }
    }

    /// The agent that runs on `node`, nil when none was seen.
    package func agent(forNode node: String) -> String? { state.withLock { $0.byNode[node] } }

    /// When `agent` was last heard from, in milliseconds since 1970; nil when never.
    package func heardAtMilliseconds(_ agent: String) -> Int64? {
        state.withLock { $0.entries[agent].map { $0.lastSeenNanoseconds / 1_000_000 } }
    }

    /// All of them, by node name.
    var entries: [Entry] {
        state.withLock { state in
            state.entries.values.sorted {
                ($0.information.node, $0.information.agent) < ($1.information.node, $1.information.agent)
            }
        }
    }

    /// How many were seen since `nanoseconds`, and how many at all.
    func counts(since nanoseconds: Int64) -> (recent: Int, all: Int) {
        state.withLock { state in
            (state.entries.values.count { $0.lastSeenNanoseconds >= nanoseconds }, state.entries.count)
        }
    }
}
