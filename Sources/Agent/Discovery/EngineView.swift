/// What the engine said of its containers, over its socket or in its own files. Answers overtake one another on the way
/// (a long list, a slow inspection, a file): of two, the one whose question was asked later holds. Pure.
struct EngineView: Sendable {
    private struct Word: Sendable {
        var container: Container
        /// Monotonic.
        var asked: Int64
    }

    private var words: [String: Word] = [:]
    /// When the engine said that it removed a container, until a list that was asked for later.
    private var removed: [String: Int64] = [:]
    /// Containers that changed and about which the engine did not answer.
    private var doubtful: Set<String> = []

    /// Whether nothing was said.
    var isEmpty: Bool { words.isEmpty }

    /// All containers it spoke of.
    var containers: [Container] { words.values.map(\.container) }

    /// What holds of one container; nil when nothing was said.
    subscript(_ id: String) -> Container? { words[id]?.container }

    /// Whether what is known of a container is beyond doubt, given that it runs or does not now.
    func isSettled(_ id: String, isRunning: Bool) -> Bool {
        words[id]?.container.isRunning == isRunning && !doubtful.contains(id)
    }

    /// An answer about one container to a question of `asked`.
    mutating func take(_ container: Container, asked: Int64) {
        let id = container.id
        guard asked >= words[id]?.asked ?? .min, asked > removed[id] ?? .min else { return }
        words[id] = Word(container: container, asked: asked)
        doubtful.remove(id)
    }

    /// The list of all containers, an answer to a question of `asked`: others are gone.
    mutating func take(list: Set<String>, asked: Int64) {
        words = words.filter { list.contains($0.key) || $0.value.asked > asked }
        removed = removed.filter { $0.value >= asked }
        doubtful = doubtful.filter { words[$0] != nil }
    }

    /// The engine removed a container at `now`.
    mutating func remove(_ id: String, at now: Int64) {
        words[id] = nil
        doubtful.remove(id)
        removed[id] = now
    }

    /// A container changed, and the engine did not say how.
    mutating func doubt(_ id: String) {
        if words[id] != nil { doubtful.insert(id) }
    }
}
