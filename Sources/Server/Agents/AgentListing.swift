internal import Telemetry
internal import Wire

/// The agents as `GET /api/v1/agents` lists them: who was seen since the start, who is enrolled, and what is wrong.
struct AgentListing {
    let entries: [KnownAgents.Entry]
    let enrolled: [String: EnrolmentLedger.Agent]
    let conflicts: [String: AgentPresence.Conflict]
    let nowNanoseconds: Int64

    /// A conflict is shown for so long after it was seen last.
    static let conflictNanoseconds: Int64 = 600_000_000_000

    /// Writes them as an array: those seen by node name, then those that were not.
    func write(_ writer: inout JSONWriter) {
        writer.beginArray()
        for entry in entries {
            writer.beginObject()
            writer.member("agent", entry.information.agent)
            writer.member("node", entry.information.node)
            writer.member("version", entry.information.version)
            writer.member("remoteAddress", entry.remoteAddress)
            writer.member("lastSeen", Timestamps.rfc3339(nanoseconds: entry.lastSeenNanoseconds))
            writer.key("secondsSinceLastSeen")
            writer.number(Double(max(0, nowNanoseconds - entry.lastSeenNanoseconds)) / 1e9)
            writer.key("clockOffsetSeconds")
            writer.number(Double(entry.clockOffsetNanoseconds) / 1e9)
            writer.member("batches", entry.batches)
            writeEnrolment(entry.information.agent, &writer)
            writer.endObject()
        }
        let seen = Set(entries.map(\.information.agent))
        for agent in enrolled.values.sorted(by: { ($0.node, $0.agent) < ($1.node, $1.agent) })
        where !seen.contains(agent.agent) {
            writer.beginObject()
            writer.member("agent", agent.agent)
            writer.member("node", agent.node)
            writeEnrolment(agent.agent, &writer)
            writer.endObject()
        }
        writer.endArray()
    }

    private func writeEnrolment(_ agent: String, _ writer: inout JSONWriter) {
        writer.member("state", state(of: agent))
        if let known = enrolled[agent] {
            writer.member("certificateEnds", Timestamps.rfc3339(milliseconds: known.endSeconds * 1_000))
            if known.revokedSeconds != 0 {
                writer.member("revokedAt", Timestamps.rfc3339(milliseconds: known.revokedSeconds * 1_000))
                writer.member("revokedBy", known.revoker)
            }
        }
        if let conflict = conflicts[agent] {
            writer.member(
                "conflict", "two at once: \(conflict.holderAddress) speaks, \(conflict.otherAddress) is held off")
        }
    }

    private func state(of agent: String) -> String {
        guard let known = enrolled[agent] else { return "not enrolled" }
        if known.revokedSeconds != 0 { return "revoked" }
        return known.endSeconds * 1_000_000_000 < nowNanoseconds ? "expired" : "enrolled"
    }
}
