import Alerting
import Query
import Synchronization
import Telemetry
import TestSupport
import Testing
import Transport
import Wire

@testable import Server

/// A real server on a real port, over stores in memory and a clock that stands still.
struct ServerFixture: Sendable {
    static let now: Int64 = 1_700_000_000_000

    let metrics = MemoryMetrics()
    let logs = MemoryLogs()
    let clock = ManualClock()
    let agents = KnownAgents()
    let alerting: AlertingService
    let server: APIServer
    let client = HTTPClient()

    /// Starts a server; `change` may set what the test needs.
    static func start(
        tls: TLSServerIdentity? = nil, _ change: (inout ServerDependencies) -> Void = { _ in }
    ) async throws -> ServerFixture {
        try await ServerFixture(tls, change)
    }

    private init(_ tls: TLSServerIdentity?, _ change: (inout ServerDependencies) -> Void) async throws {
        let agents = agents
        let client = client
        alerting = try AlertingService(
            ports: AlertingPorts(
                storage: SimulatedStorage(seed: 1), folder: "alerting", engine: Engine(series: metrics, logs: logs),
                series: metrics, logs: logs, samples: metrics, lines: logs, http: client, wallClock: clock,
                monotonicClock: SystemMonotonicClock(), agentForNode: { agents.agent(forNode: $0) },
                agentHeardAt: { agents.heardAtMilliseconds($0) }, report: { _ in }),
            configuration: try ServerFixture.rules())
        var dependencies = ServerDependencies(
            sampleAppender: metrics, seriesSource: metrics, metricAdministration: metrics, logAppender: logs,
            logSource: logs, logAdministration: logs, alerting: alerting, agents: agents, wallClock: clock,
            monotonicClock: SystemMonotonicClock(),
            build: BuildInformation(version: "1.2.3", revision: "abc", compiler: "swift"),
            options: ServerOptions(memoryBytesMaximum: 0, queryConcurrency: 2))
        change(&dependencies)
        server = try await APIServer.start(
            dependencies, listen: HTTPListener.Options(host: "127.0.0.1", port: 0, tls: tls))
    }

    var endpoint: HTTPEndpoint { HTTPEndpoint(.tcp(host: "127.0.0.1", port: server.port)) }

    /// Sends a call.
    func send(
        _ method: String, _ target: String, fields: [HTTPField] = [], body: [UInt8] = []
    ) async throws -> HTTPReply {
        try await client.send(HTTPCall(method, endpoint, target, fields: fields, body: body))
    }

    /// A GET whose parameters are encoded here.
    func get(_ path: String, _ parameters: [(String, String)] = []) async throws -> HTTPReply {
        let query = QueryString(parameters.map { QueryString.Item($0.0, $0.1) }).encoded
        return try await send("GET", query.isEmpty ? path : "\(path)?\(query)")
    }

    /// A POST with a form.
    func post(_ path: String, _ parameters: [(String, String)] = []) async throws -> HTTPReply {
        let query = QueryString(parameters.map { QueryString.Item($0.0, $0.1) }).encoded
        let type = HTTPField("Content-Type", "application/x-www-form-urlencoded")
        return try await send("POST", path, fields: [type], body: Array(query.utf8))
    }

    /// The text of a GET's body.
    func text(_ path: String, _ parameters: [(String, String)] = []) async throws -> String {
        try await get(path, parameters).text
    }
}

extension HTTPReply {
    /// The body as text.
    var text: String { String(decoding: body, as: UTF8.self) }
}
