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
        guard isAgent(agent) else { throw .invalid("agent", "an agent's identity is 32 hexadecimal digits") }
        return agent
    }

    /// Whether a text is an agent's identity.
    static func isAgent(_ text: String) -> Bool {
        text.utf8.count == 32 && text.utf8.allSatisfy { Hexadecimal.value(of: $0) != nil }
    }
}

extension ServerDependencies {
    /// Whether a request comes from the agent it names. Throws `APIFailure` with what to do.
    func checkAgent(_ agent: String, _ request: ListenerRequest, mayBeUnbound: Bool) async throws(APIFailure) {
        try checkPresence(agent, request)
        if let peer = request.peer?.agent {
            // Whether it may come in at all was decided when its principal was.
            if peer == agent { return }
            let reason = "the certificate is that of agent \(peer), but this is sent in the name of agent \(agent)"
            refused(agent, request, reason)
            throw APIFailure(.forbidden, reason)
        }
        if let enrolment, enrolment.isEnrolled(agent) {
            let reason = "agent \(agent) is enrolled: it shows its certificate, a token is not enough"
            refused(agent, request, reason)
            throw APIFailure(.forbidden, reason)
        }
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
            refused(agent, request, error.description)
            throw APIFailure(.forbidden, error.description)
        }
    }

    private func refused(_ agent: String, _ request: ListenerRequest, _ reason: String) {
        log(
            ServerLogEntry(
                .warning, "a request in the name of an agent was refused",
                fields: [("agent", agent), ("remote", request.remoteAddress), ("error", reason)]))
    }

    /// Holds off one of two agents that speak under one identity.
    private func checkPresence(_ agent: String, _ request: ListenerRequest) throws(APIFailure) {
        let verdict = agents.presence.heard(
            agent, run: request.fields[AgentPresence.field], remoteAddress: request.remoteAddress,
            nowNanoseconds: monotonicClock.nowNanoseconds)
        guard case .heldOff(let conflict, let isNews) = verdict else { return }
        let seconds = AgentPresence.silenceNanoseconds / 1_000_000_000
        let reason =
            "another agent speaks under the identity \(agent), from \(conflict.holderAddress), and this one is held "
            + "off so that neither loses anything. After a restart of the host that ends within \(seconds) s; else "
            + "the host was cloned, or its data folder copied: on one of the two stop the agent, remove agent-id, "
            + "agent-secret and enrolment from its data folder, and enroll it as an agent of its own"
        if isNews { refused(agent, request, reason) }
        throw APIFailure(.unavailable, reason, retryAfterSeconds: Int(seconds))
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
