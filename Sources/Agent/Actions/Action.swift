internal import Telemetry

/// Port: one typed thing the agent can do to a container.
protocol Action: Sendable {
    /// The name in commands and allow-lists.
    static var name: String { get }
    /// The arguments it knows; any other is refused.
    static var arguments: Set<String> { get }

    /// What became of such a command that was begun at `begunNanoseconds`, by the state of its target now.
    static func aftermath(_ container: Container, begunNanoseconds: Int64) -> CommandAftermath

    /// Reads a command's arguments, before anything is done.
    init(_ order: ActionOrder) throws(ActionRefusal)

    /// Does it. Returns the facts of what was done; throws `ActionFailure` with the facts known so far.
    func perform(with engine: DockerEngine) async throws -> Labels
}

/// What an action is to do: a command whose target was found and allowed.
struct ActionOrder: Sendable {
    var container: Container
    var arguments: [String: String]
    var permission: ActionPolicy.Permission
}

/// Why a command is not done at all.
struct ActionRefusal: Error, Equatable, CustomStringConvertible {
    var description: String
}

/// Why an action that was begun did not work.
struct ActionFailure: Error, CustomStringConvertible {
    var description: String
    var facts: Labels
}

/// The registry: one file and one line here add an action.
enum Actions {
    /// All actions.
    static let all: [any Action.Type] = [
        ContainerRestart.self
    ]
}
