internal import Telemetry
internal import Wire

/// `container.restart`: the engine ends the container's process, after the grace kills it, and starts it anew.
/// Arguments: `grace` (seconds or a duration, default 10 within the allowed range) and `started_at` (RFC 3339: only if
/// the container has not been started since, so that a late command does not restart what was restarted already).
struct ContainerRestart: Action {
    static let name = "container.restart"
    static let arguments: Set<String> = [ActionArgument.grace, ActionArgument.startedAt]

    private let container: Container
    private let graceSeconds: Int

    init(_ order: ActionOrder) throws(ActionRefusal) {
        container = order.container
        graceSeconds = try Self.grace(order)
        guard let text = order.arguments[ActionArgument.startedAt] else { return }
        guard let expected = Timestamps.nanoseconds(rfc3339: text) else {
            throw ActionRefusal(description: "started_at is no RFC 3339 time: \(QuotedText.quoted(text))")
        }
        guard expected == order.container.startedNanoseconds else {
            let actual = Timestamps.rfc3339(nanoseconds: order.container.startedNanoseconds)
            throw ActionRefusal(description: "the container was started again meanwhile, at \(actual)")
        }
    }

    private static func grace(_ order: ActionOrder) throws(ActionRefusal) -> Int {
        let allowed = order.permission.graceSeconds
        guard let text = order.arguments[ActionArgument.grace] else {
            return Int(min(max(10, allowed.lowerBound), allowed.upperBound))
        }
        let seconds = Int64(text) ?? (try? Durations.milliseconds(prometheus: text)).map { $0 / 1000 }
        guard let seconds, allowed.contains(seconds) else {
            throw ActionRefusal(
                description: """
                    a grace of \(QuotedText.quoted(text)) is not allowed here: \(allowed.lowerBound)s to \
                    \(allowed.upperBound)s are
                    """)
        }
        return Int(seconds)
    }

    func perform(with engine: DockerEngine) async throws -> Labels {
        guard let before = try await engine.inspect(container.id) else {
            throw ActionFailure(description: "the engine has no container of that id any more", facts: .empty)
        }
        var facts: [String: String] = [
            "previous_started_at": Timestamps.rfc3339(nanoseconds: before.startedNanoseconds),
            "previous_pid": String(before.processIdentifier),
        ]
        if let code = before.exitCode { facts["previous_exit_code"] = String(code) }
        do {
            try await engine.restart(container.id, graceSeconds: graceSeconds)
        } catch {
            throw ActionFailure(description: "\(error)", facts: Labels(facts))
        }
        guard let after = try? await engine.inspect(container.id) else {
            throw ActionFailure(
                description: "the engine said it was restarted, and then nothing more of it", facts: Labels(facts))
        }
        facts["started_at"] = Timestamps.rfc3339(nanoseconds: after.startedNanoseconds)
        facts["pid"] = String(after.processIdentifier)
        guard after.startedNanoseconds != before.startedNanoseconds, after.startedNanoseconds > 0 else {
            throw ActionFailure(
                description: "the engine said it was restarted, but its start time is the old one", facts: Labels(facts)
            )
        }
        guard after.isRunning else {
            let code = after.exitCode.map { " with exit code \($0)" } ?? ""
            throw ActionFailure(description: "it was started and ended at once\(code)", facts: Labels(facts))
        }
        return Labels(facts)
    }
}
