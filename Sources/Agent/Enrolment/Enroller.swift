package import Disk
internal import Glibc
package import Telemetry
package import Transport
package import Wire

/// Why a node could not be enrolled: words that say what to do.
package struct EnrolmentFailure: Error, Sendable, CustomStringConvertible {
    package let description: String
    /// Whether asking again would give the same answer.
    package let isFinal: Bool

    init(_ description: String, isFinal: Bool = false) {
        self.description = description
        self.isFinal = isFinal
    }
}

/// Enrolls this node: believes the server by what the join token pins, makes a key, and has it certified.
///
/// Every step may be the last before a power cut: asked again with the same token it goes on. Blocks for its files, so
/// it belongs to a process of its own.
package struct Enroller: Sendable {
    private let storage: any FileStorage
    private let wallClock: any WallClock
    private let folder: String
    private let node: String
    private let connect: @Sendable ([String: TLSProfile]) -> any HTTPSending

    /// An enroller for the agent with its data in `folder`; `connect` makes a client with TLS profiles.
    package init(
        folder: String, node: String, storage: any FileStorage, wallClock: any WallClock,
        connect: @escaping @Sendable ([String: TLSProfile]) -> any HTTPSending
    ) {
        self.folder = folder
        self.node = node
        self.storage = storage
        self.wallClock = wallClock
        self.connect = connect
    }

    /// What the node has already, if it still holds.
    package func present() throws -> NodeEnrolment? {
        guard let enrolment = try NodeEnrolment.load(folder: folder, in: storage),
            enrolment.standing.validity.refusal(at: wallClock.nowNanoseconds) == nil
        else { return nil }
        return enrolment
    }

    /// Enrolls with `token` at `server`, and keeps what comes of it.
    package func enroll(server: HTTPEndpoint, token: JoinToken) async throws -> NodeEnrolment {
        guard case .tls = server.connection else {
            throw EnrolmentFailure("a node is enrolled over TLS: write https://HOST:PORT", isFinal: true)
        }
        try storage.makeFolder(folder)
        let agent = try AgentIdentity.load(folder: folder, in: storage)
        let secret = try AgentIdentity.secret(folder: folder, in: storage)
        // An ended certificate's key goes on: it is what proves the node to be the same.
        let key =
            try NodeEnrolment.load(folder: folder, in: storage).map { try CertificateKey(pem: $0.key) }
            ?? PendingKey.take(folder: folder, in: storage)
        let authorities = try await trust(server, token)
        let client = connect(["pinned": TLSProfile(authorities: authorities)])
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("agent", agent)
        writer.member("node", node)
        writer.member("secret", Hexadecimal.text(token.secret))
        writer.member("request", String(decoding: try key.request(name: agent), as: UTF8.self))
        writer.endObject()
        let call = HTTPCall(
            "POST", server, "/enrolment/v1/enroll",
            fields: [
                HTTPField("Content-Type", "application/json"), HTTPField(ServerLink.secretField, secret),
            ], body: writer.bytes, replyBytesMaximum: 1 << 20, tlsProfile: "pinned")
        let answer = try await Enroller.ask(client, call)
        let enrolment = try Enroller.enrolment(answer, server: server, agent: agent, key: key)
        try enrolment.store(folder: folder, in: storage)
        PendingKey.settle(folder: folder, in: storage)
        return enrolment
    }

    /// Gives what root has made to whom the data folder belongs: the agent, which need not be root.
    package func handOver() {
        var status = stat()
        guard geteuid() == 0, stat(folder, &status) == 0, status.st_uid != 0 else { return }
        for name in ["agent-id", "agent-secret", "enrolment", "enrolment-key"] {
            _ = lchown("\(folder)/\(name)", status.st_uid, status.st_gid)
        }
    }

    /// The server's authorities, if they are those that the token pins. They are asked for before anybody is believed,
    /// and nothing is said yet.
    private func trust(_ server: HTTPEndpoint, _ token: JoinToken) async throws -> [UInt8] {
        let client = connect(["unproven": TLSProfile(verification: .none)])
        let answer = try await Enroller.ask(
            client,
            HTTPCall(
                "GET", server, "/enrolment/v1/authorities", replyBytesMaximum: 1 << 20, tlsProfile: "unproven"))
        let authorities = Array((answer["authorities"]?.text ?? "").utf8)
        guard try TrustBundle.fingerprint(pem: authorities) == token.fingerprint else {
            throw EnrolmentFailure(
                "who answers at \(server) is not the server that made this token: the fingerprint of its authorities "
                    + "is another. Check the address; if it is right, somebody stands between",
                isFinal: true)
        }
        try checkClock(answer["time"]?.text)
        return authorities
    }

    /// A clock that is far off makes every certificate look wrong; say so before TLS says something else.
    private func checkClock(_ text: String?) throws(EnrolmentFailure) {
        guard let theirs = text.flatMap({ Timestamps.nanoseconds(rfc3339: $0) }) else { return }
        let seconds = (wallClock.nowNanoseconds - theirs) / 1_000_000_000
        guard seconds.magnitude > Enroller.clockSecondsMaximum else { return }
        throw EnrolmentFailure(
            "the clock of this host is \(seconds.magnitude) s \(seconds > 0 ? "ahead of" : "behind") the server's "
                + "(\(text ?? "")): set it and enroll again, the token is not used up")
    }

    private static let clockSecondsMaximum: UInt64 = 300

    /// Asks; the answer's `data`, or a failure in the server's own words.
    static func ask(_ client: any HTTPSending, _ call: HTTPCall) async throws -> JSONValue {
        let reply: HTTPReply
        do {
            reply = try await client.send(call)
        } catch let failure as HTTPFailure {
            var advice = ""
            if failure.stage == .tls {
                advice =
                    ". Is \(call.endpoint.authority) among the names of the server's certificate "
                    + "(server.tls.names)?"
            }
            throw EnrolmentFailure("\(call.endpoint) cannot be reached: \(failure)\(advice)")
        }
        let value = try? JSONValue(parsing: reply.body)
        guard reply.status == 200, let data = value?["data"] else {
            let words = value?["error"]?.text ?? String(decoding: reply.body.prefix(500), as: UTF8.self)
            throw EnrolmentFailure(
                "\(call.endpoint) answered \(reply.status): \(words)", isFinal: (400..<500).contains(reply.status))
        }
        return data
    }

    /// What an answer with a certificate makes of a node.
    static func enrolment(
        _ answer: JSONValue, server: HTTPEndpoint, agent: String, key: CertificateKey
    ) throws(CertificateFailure) -> NodeEnrolment {
        try NodeEnrolment(
            server: server, agent: agent, certificate: Array((answer["certificate"]?.text ?? "").utf8), key: key.pem,
            authorities: Array((answer["authorities"]?.text ?? "").utf8))
    }
}
