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
    private static let head = "vedette-agents 1"
    /// Longer secrets are none.
    private static let secretBytesMaximum = 256
    /// Far beyond what one server can serve; a flood of new names must not fill its memory.
    private static let agentsMaximum = 100_000

    private let state: Mutex<State>
    private let persist: @Sendable ([UInt8]) async throws -> Void

    /// The bindings of a file's bytes (nil: none yet); `persist` writes them down durably. Throws in words when the
    /// file is not what it should be: nobody is bound anew by accident.
    package init(
        _ bytes: [UInt8]?, persist: @escaping @Sendable ([UInt8]) async throws -> Void
    ) throws(ByteError) {
        state = Mutex(
            State(hashes: try bytes.map { (bytes) throws(ByteError) in try AgentBindings.read(bytes) } ?? [:]))
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

    /// A line each, so that people can read it.
    static func bytes(_ hashes: [String: String]) -> [UInt8] {
        let lines = hashes.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)\n" }
        return Array("\(head)\n\(lines.joined())".utf8)
    }

    private static func read(_ bytes: [UInt8]) throws(ByteError) -> [String: String] {
        var hashes: [String: String] = [:]
        var offset = 0
        for (number, line) in bytes.split(separator: 0x0a, omittingEmptySubsequences: false).enumerated() {
            defer { offset += line.count + 1 }
            let text = String(decoding: line, as: UTF8.self)
            if number == 0 {
                guard text == head else { throw ByteError(offset: 0, reason: "the first line is not \"\(head)\"") }
                continue
            }
            if text.isEmpty { continue }
            let parts = text.split(separator: " ")
            guard parts.count == 2, parts[0].utf8.count == 32, parts[1].utf8.count == 64,
                text.utf8.allSatisfy({ $0 == 0x20 || Hexadecimal.value(of: $0) != nil })
            else { throw ByteError(offset: offset, reason: "line \(number + 1) is not \"AGENT SHA256\"") }
            hashes[String(parts[0])] = String(parts[1])
        }
        return hashes
    }

    private static func areEqual(_ left: String, _ right: String) -> Bool {
        zip(left.utf8, right.utf8).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0 && left.utf8.count == right.utf8.count
    }
}
