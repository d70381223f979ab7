internal import Crypto
internal import Synchronization
package import Telemetry

/// Which agent is which: the SHA-256 of the secret that an agent showed at its first contact, so that a token for
/// ingest alone does not make one the agent of another host.
///
/// Trust on first use. A binding is on disk before it is believed; it is ended by an operator only
/// (`DELETE /api/v1/agents/{agent}/binding`). The layout of the file is in docs/formats/agent-bindings.md.
package final class AgentBindings: Sendable {
    /// Why an agent is not believed.
    package enum Refusal: Error, Equatable, CustomStringConvertible {
        case noSecret
        case otherSecret(agent: String)
        case notKept(String)

        package var description: String {
            switch self {
            case .noSecret:
                "an agent has to show its secret (the field \(AgentBindings.field)); an agent of this version does"
            case .otherSecret(let agent):
                "agent \(agent) showed another secret at its first contact. If its data folder was lost, remove the "
                    + "rest of it: it begins anew as another agent; if its secret alone was changed on purpose, "
                    + "DELETE /api/v1/agents/\(agent)/binding (permission admin) lets it be bound again"
            case .notKept(let reason): "the binding of the agent cannot be written down (\(reason)); try again"
            }
        }
    }

    private struct State {
        var hashes: [String: String] = [:]
        /// Waiting for the write that is under way or the next one.
        var isWriting = false
        var waiting: [CheckedContinuation<String?, Never>] = []
    }

    /// The header field that carries the secret.
    static let field = "X-Vedette-Agent-Secret"
    private static let name = "vedette-agents"
    private static let version = "1"
    /// Longer secrets are none.
    private static let secretBytesMaximum = 256
    /// Far beyond what one server can serve; a flood of new names must not fill its memory.
    private static let agentsMaximum = 100_000

    private let state: Mutex<State>
    private let persist: @Sendable ([UInt8]) async throws -> Void

    /// What is damaged in the file, a sentence each. The agents of damaged lines are bound anew at their next contact.
    package let damage: [String]

    /// The bindings of a file's bytes (nil: none yet); `persist` writes them down durably. Throws in words when the
    /// file is of another version.
    package init(
        _ bytes: [UInt8]?, persist: @escaping @Sendable ([UInt8]) async throws -> Void
    ) throws(ByteError) {
        let found = try AgentBindings.read(bytes ?? AgentBindings.bytes([:]))
        damage = found.damage
        state = Mutex(State(hashes: found.hashes))
        self.persist = persist
    }

    /// Whether `agent` is who showed this secret first; binds it at first contact. Returns whether it was bound just
    /// now. Without a secret an unbound agent is believed only where it `mayBeUnbound`.
    func check(_ agent: String, secret: String?, mayBeUnbound: Bool = false) async throws(Refusal) -> Bool {
        let known = state.withLock { $0.hashes[agent] }
        guard let secret, !secret.isEmpty, secret.utf8.count <= AgentBindings.secretBytesMaximum else {
            if mayBeUnbound, known == nil { return false }
            throw .noSecret
        }
        let hash = Hexadecimal.text(Array(SHA256.hash(data: Array(secret.utf8))))
        let isFirst = try state.withLock { state throws(Refusal) -> Bool in
            if let known = state.hashes[agent] {
                guard AgentBindings.areEqual(known, hash) else { throw .otherSecret(agent: agent) }
                return false
            }
            guard state.hashes.count < AgentBindings.agentsMaximum else {
                throw .notKept("there are \(AgentBindings.agentsMaximum) agents already")
            }
            state.hashes[agent] = hash
            return true
        }
        guard isFirst else { return false }
        if let reason = await save() {
            state.withLock { if $0.hashes[agent] == hash { $0.hashes[agent] = nil } }
            throw .notKept(reason)
        }
        return true
    }

    /// Whether an agent of this id has shown a secret before.
    func isBound(_ agent: String) -> Bool { state.withLock { $0.hashes[agent] != nil } }

    /// Ends a binding; false when there is none.
    func forget(_ agent: String) async throws(Refusal) -> Bool {
        guard let hash = state.withLock({ $0.hashes.removeValue(forKey: agent) }) else { return false }
        if let reason = await save() {
            state.withLock { $0.hashes[agent] = $0.hashes[agent] ?? hash }
            throw .notKept(reason)
        }
        return true
    }

    /// Writes all bindings; those that come while a write is under way share the next one. Returns why it failed.
    private func save() async -> String? {
        await withCheckedContinuation { continuation in
            let isFirst = state.withLock { state in
                state.waiting.append(continuation)
                defer { state.isWriting = true }
                return !state.isWriting
            }
            if isFirst { Task { await write() } }
        }
    }

    private func write() async {
        while true {
            let (bytes, waiting) = state.withLock { state in
                defer { state.waiting = [] }
                if state.waiting.isEmpty { state.isWriting = false }
                return (AgentBindings.bytes(state.hashes), state.waiting)
            }
            if waiting.isEmpty { return }
            var reason: String?
            do {
                try await persist(bytes)
            } catch {
                reason = "\(error)"
            }
            for continuation in waiting { continuation.resume(returning: reason) }
        }
    }

    /// A line each, so that people can read it; each with a check, so that a damaged one costs no other.
    static func bytes(_ hashes: [String: String]) -> [UInt8] {
        let lines = hashes.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        return Array((["\(name) \(version)"] + lines).map { "\($0) \(check($0))\n" }.joined().utf8)
    }

    /// The first eight digits of a line's SHA-256.
    private static func check(_ line: String) -> String {
        String(Hexadecimal.text(Array(SHA256.hash(data: Array(line.utf8)))).prefix(8))
    }

    private static func read(_ bytes: [UInt8]) throws(ByteError) -> (hashes: [String: String], damage: [String]) {
        var hashes: [String: String] = [:]
        var damage: [String] = []
        for (number, line) in bytes.split(separator: 0x0a).enumerated() {
            let parts = String(decoding: line, as: UTF8.self).split(separator: " ", omittingEmptySubsequences: false)
            guard parts.count == 3, parts[2] == check("\(parts[0]) \(parts[1])") else {
                damage.append(
                    number == 0
                        ? "line 1 is damaged"
                        : "line \(number + 1) is damaged: its agent is bound anew at its next contact")
                continue
            }
            if parts[0] == name {
                guard parts[1] == version else {
                    throw ByteError(offset: 0, reason: "version \(parts[1]), this program reads version \(version)")
                }
            } else {
                hashes[String(parts[0])] = String(parts[1])
            }
        }
        return (hashes, damage)
    }

    private static func areEqual(_ left: String, _ right: String) -> Bool {
        zip(left.utf8, right.utf8).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0 && left.utf8.count == right.utf8.count
    }
}
