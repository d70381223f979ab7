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
        let body = try await request.body(upTo: AgentCommandsAPI.bodyBytesMaximum)
        do {
            for report in try CommandReportCodec.decode(body) { dependencies.alerting.report(report, from: agent) }
        } catch {
            throw APIFailure(.badData, error.description)
        }
        return ListenerResponse(status: 204)
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
