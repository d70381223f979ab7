internal import Telemetry

/// What became of a command that was under way when the agent ended, as far as its target tells.
enum CommandAftermath: Equatable {
    case done(Labels)
    case failed(String)
    /// Not done yet. It may still come (an engine goes on with what it was asked), and is given up after so long.
    case pending(String, milliseconds: Int64)
}

extension Actions {
    /// What became of a command, by what the engine says of its target now (nil: it knows none). Pure.
    static func aftermath(of entry: CommandLedger.Entry, _ container: Container?) -> CommandAftermath {
        guard let action = all.first(where: { $0.name == entry.action }) else {
            return .failed("the agent ended while it was being done, and this version knows no \(entry.action)")
        }
        guard let container else { return .failed("the engine has no container of that id any more") }
        return action.aftermath(container, begunNanoseconds: entry.nanoseconds)
    }
}

extension ContainerRestart {
    /// How long an engine may take for a restart that it was asked for: the grace and some time to start.
    private static let engineMilliseconds: Int64 = 40_000
    /// A container that does not run needs no grace.
    private static let startMilliseconds: Int64 = 2_000

    static func aftermath(_ container: Container, begunNanoseconds: Int64) -> CommandAftermath {
        let started = Timestamps.rfc3339(nanoseconds: container.startedNanoseconds)
        guard container.startedNanoseconds >= begunNanoseconds else {
            return .pending(
                "the container was not started since",
                milliseconds: container.isRunning ? engineMilliseconds : startMilliseconds)
        }
        guard container.isRunning else {
            let code = container.exitCode.map { " with exit code \($0)" } ?? ""
            return .failed("it was started at \(started) and ended\(code)")
        }
        return .done(Labels(["started_at": started, "pid": String(container.processIdentifier)]))
    }
}
