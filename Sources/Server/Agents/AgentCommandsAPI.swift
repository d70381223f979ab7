internal import Alerting
internal import Synchronization
internal import Telemetry
internal import Transport
internal import Wire

/// `GET /agent/v1/commands` and `POST /agent/v1/reports`: agents fetch what they are to do and tell what they did.
struct AgentCommandsAPI: Sendable {
    let dependencies: ServerDependencies
    let polls: LongPolls

    /// An agent never waits longer than this for one answer.
    static let waitMillisecondsMaximum: Int64 = 60_000
    /// Reports are short.
    static let bodyBytesMaximum = 4 << 20

    /// The commands an agent may have, as soon as there are any, or none after `wait`.
    func commands(_ request: ServerRequest) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        let agent = try AgentCommandsAPI.agent(request, parameters)
        try await check(agent, request)
        let wait = try parameters.lokiDuration("wait") ?? 0
        let milliseconds = min(max(0, wait / 1_000_000), AgentCommandsAPI.waitMillisecondsMaximum)
        let alerting = dependencies.alerting
        let commands = await polls.run { await alerting.waitForCommands(for: agent, milliseconds: milliseconds) }
        return ListenerResponse(
            status: 200, fields: [HTTPField("Content-Type", AgentProtocol.mediaType)],
            body: .bytes(AgentCommandCodec.encode(commands ?? [])))
    }

    /// Takes in what an agent did.
    func reports(_ request: ServerRequest) async throws -> ListenerResponse {
        let agent = try AgentCommandsAPI.agent(request, await request.parameters())
        try await check(agent, request)
        let body = try await request.body(upTo: AgentCommandsAPI.bodyBytesMaximum)
        let reports: [CommandReport]
        do {
            reports = try CommandReportCodec.decode(body)
        } catch {
            throw APIFailure(.badData, error.description)
        }
        // Answered when they are on disk: the agent forgets them then.
        try await dependencies.alerting.report(reports, from: agent)
        return ListenerResponse(status: 204)
    }

    /// Ends the binding of an agent, so that the next secret it shows is believed.
    func unbind(_ request: ServerRequest) async throws -> ListenerResponse {
        let agent = request.capture("agent")
        guard try await dependencies.bindings?.forget(agent) ?? false else {
            throw APIFailure(
                .notFound, "no agent is bound under \(agent); GET /api/v1/agents lists those that are here")
        }
        dependencies.log(
            ServerLogEntry(
                .warning, "the binding of an agent was ended; the next secret it shows is believed",
                fields: [("agent", agent), ("principal", request.principal.name)]))
        return .json(PrometheusAnswer.success { $0.null() })
    }

    private func check(_ agent: String, _ request: ServerRequest) async throws {
        try await dependencies.checkAgent(agent, request.listener, mayBeUnbound: false)
    }

    /// Who asks: the parameter `agent`, or the field that agents send with everything.
    private static func agent(
        _ request: ServerRequest, _ parameters: RequestParameters
    ) throws(APIFailure) -> String {
        guard let agent = parameters["agent"] ?? request.listener.fields["x-vedette-agent"] else {
            throw .invalid("agent", "it is missing")
        }
        guard agent.utf8.count == 32, agent.utf8.allSatisfy({ Hexadecimal.value(of: $0) != nil }) else {
            throw .invalid("agent", "an agent's identity is 32 hexadecimal digits")
        }
        return agent
    }
}

extension ServerDependencies {
    /// Whether a request comes from the agent it names. Throws `APIFailure` with what to do.
    func checkAgent(_ agent: String, _ request: ListenerRequest, mayBeUnbound: Bool) async throws(APIFailure) {
        guard let bindings else { return }
        do throws(AgentBindings.Refusal) {
            let isNew = try await bindings.check(
                agent, secret: request.fields[AgentBindings.field], mayBeUnbound: mayBeUnbound)
            guard isNew else { return }
            log(
                ServerLogEntry(
                    .info, "an agent was seen for the first time; its secret is believed from now on",
                    fields: [("agent", agent), ("remote", request.remoteAddress)]))
        } catch {
            if case .notKept = error { throw APIFailure(.unavailable, error.description, retryAfterSeconds: 5) }
            log(
                ServerLogEntry(
                    .warning, "a request in the name of an agent was refused",
                    fields: [("agent", agent), ("remote", request.remoteAddress), ("error", error.description)]))
            throw APIFailure(.forbidden, error.description)
        }
    }
}

/// Requests that wait for something to happen; all are let go when the server leaves, so that nobody waits for them.
final class LongPolls: Sendable {
    private struct State {
        var tasks: [UInt64: @Sendable () -> Void] = [:]
        var nextID: UInt64 = 0
        var isClosed = false
    }

    private let state = Mutex(State())

    /// How many wait now.
    var count: Int { state.withLock { $0.tasks.count } }

    /// Runs `body` in a task that is cancelled with the calling one and when the server leaves; nil when it has left.
    func run<Value: Sendable>(_ body: @escaping @Sendable () async -> Value) async -> Value? {
        let task = Task(operation: body)
        let id = state.withLock { state -> UInt64? in
            guard !state.isClosed else { return nil }
            state.nextID += 1
            state.tasks[state.nextID] = { task.cancel() }
            return state.nextID
        }
        guard let id else {
            task.cancel()
            return nil
        }
        defer { state.withLock { $0.tasks[id] = nil } }
        return await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }
    }

    /// Lets all go, now and from now on.
    func close() {
        let tasks = state.withLock { state in
            state.isClosed = true
            return Array(state.tasks.values)
        }
        for cancel in tasks { cancel() }
    }
}
