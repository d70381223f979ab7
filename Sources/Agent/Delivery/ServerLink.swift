internal import Telemetry
internal import Wire

/// How the agent reaches its server: where, as whom, and with which proof.
struct ServerLink: Sendable {
    var http: any HTTPSending
    var endpoint: HTTPEndpoint
    /// Sent with every call, for example an Authorization field.
    var fields: [HTTPField]
    /// The TLS profile the sender was configured with; nil for the default trust.
    var tlsProfile: String?
    var agent: String
    var node: String
    var version: String
    var wallClock: any WallClock
    /// What is wrong with the agent's own certificate now; nil for nothing. It is what a failed call is told with.
    var complaint: @Sendable () -> String? = { nil }

    /// The header field that tells this run of the agent from others under the same identity.
    static let runField = "X-Vedette-Agent-Run"
    /// The header field by which the server knows the agent again.
    static let secretField = "X-Vedette-Agent-Secret"

    /// A link.
    init(
        http: any HTTPSending, endpoint: HTTPEndpoint, fields: [HTTPField] = [], tlsProfile: String? = nil,
        agent: String, node: String, version: String, wallClock: any WallClock
    ) {
        self.http = http
        self.endpoint = endpoint
        self.fields = fields
        self.tlsProfile = tlsProfile
        self.agent = agent
        self.node = node
        self.version = version
        self.wallClock = wallClock
    }

    /// What the agent tells about itself now.
    var information: AgentInformation {
        AgentInformation(agent: agent, node: node, version: version, sentNanoseconds: wallClock.nowNanoseconds)
    }

    /// What the server said about a batch, or why it said nothing.
    enum Answer: Sendable {
        case reply(AgentReply)
        /// Nobody there, or nobody who understands: try again, not before so many seconds.
        case silence(reason: String, retryAfterSeconds: Int)
    }

    /// Sends one batch.
    func send(_ delivery: DeliveryIdentity, _ frames: [[UInt8]]) async -> Answer {
        let body = AgentBatchEncoder.body(information: information, delivery: delivery, frames: frames)
        do {
            let reply = try await http.send(call("POST", "/agent/v1/batch", body: body, timeoutMilliseconds: 15_000))
            if let understood = try? AgentReplyCodec.decode(reply.body) { return .reply(understood) }
            let seconds = reply.fields["Retry-After"].flatMap { Int($0) } ?? 0
            if reply.status == 413 {
                return .reply(
                    AgentReply(
                        verdict: .refused, marks: DeliveryMarks(synced: 0, archived: 0), reason: "it is too large"))
            }
            return .silence(reason: ServerLink.words(of: reply), retryAfterSeconds: seconds)
        } catch {
            return .silence(
                reason: [complaint(), "\(error)"].compactMap(\.self).joined(separator: "; "),
                retryAfterSeconds: 0)
        }
    }

    /// What an answer that is no reply says to people: a server's refusal, a proxy's page.
    private static func words(of reply: HTTPReply) -> String {
        let isText = reply.fields["Content-Type"]?.hasPrefix("text/plain") ?? false
        let words = String(decoding: reply.body.prefix(1_000), as: UTF8.self).split(whereSeparator: \.isNewline).first
        guard isText, let words else { return "it answered \(reply.status) in words the agent does not know" }
        return "it answered \(reply.status): \(words)"
    }

    /// Waits for commands, at most about half a minute.
    func commands() async throws -> [AgentCommand] {
        let target = "/agent/v1/commands?agent=\(agent)&wait=30s"
        let reply = try await http.send(call("GET", target, timeoutMilliseconds: 45_000))
        if reply.status == 204 { return [] }
        guard reply.status == 200 else {
            let words = String(decoding: reply.body.prefix(512), as: UTF8.self)
            throw HTTPFailure(.head, "\(endpoint) answered \(reply.status) to commands: \(words)")
        }
        return reply.body.isEmpty ? [] : try AgentCommandCodec.decode(reply.body)
    }

    /// Tells what became of commands. Throws unless the server took it.
    func report(_ reports: [CommandReport]) async throws {
        let body = CommandReportCodec.encode(reports)
        let target = "/agent/v1/reports?agent=\(agent)"
        let reply = try await http.send(call("POST", target, body: body, timeoutMilliseconds: 15_000))
        guard (200..<300).contains(reply.status) else {
            throw HTTPFailure(.head, "\(endpoint) answered \(reply.status) to reports")
        }
    }

    private func call(_ method: String, _ target: String, body: [UInt8] = [], timeoutMilliseconds: Int64) -> HTTPCall {
        var fields = fields
        if !body.isEmpty { fields.append(HTTPField("Content-Type", AgentProtocol.mediaType)) }
        return HTTPCall(
            method, endpoint, target, fields: fields, body: body, timeoutMilliseconds: timeoutMilliseconds,
            replyBytesMaximum: AgentProtocol.bodyBytesMaximum, tlsProfile: tlsProfile)
    }
}
