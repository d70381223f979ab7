internal import Telemetry
internal import Transport
internal import Wire

/// How nodes join, renew and are shut out (docs/formats/enrolment.md).
struct EnrolmentAPI: Sendable {
    let dependencies: ServerDependencies
    /// Cuts the connections of an agent.
    let cut: @Sendable (String) -> Void

    private static let bodyBytesMaximum = 16 << 10
    private static let lifetimeSecondsDefault: Int64 = 3_600
    private static let lifetimeSecondsMaximum: Int64 = 30 * 86_400
    private static let usesMaximum = 10_000

    // MARK: - What operators ask

    /// Makes a join token.
    func makeToken(_ request: ServerRequest) async throws -> ListenerResponse {
        let enrolment = try enrolment()
        let parameters = try await request.parameters()
        let seconds = try parameters.lokiDuration("lifetime").map { $0 / 1_000_000_000 }
        let uses = try parameters.count("uses") ?? 1
        let lifetime = seconds ?? EnrolmentAPI.lifetimeSecondsDefault
        guard (1...EnrolmentAPI.lifetimeSecondsMaximum).contains(lifetime) else {
            throw APIFailure.invalid("lifetime", "use 1s to 30d")
        }
        guard (1...EnrolmentAPI.usesMaximum).contains(uses) else {
            throw APIFailure.invalid("uses", "use 1 to \(EnrolmentAPI.usesMaximum)")
        }
        let made = try await enrolment.makeToken(seconds: lifetime, uses: uses, creator: request.principal.name)
        log(.info, "a join token was made", [("token", made.entry.id), ("uses", "\(uses)")], request)
        return .json(
            PrometheusAnswer.success { writer in
                writer.beginObject()
                writer.member("token", made.token.text)
                EnrolmentAPI.write(made.entry, &writer)
                writer.endObject()
            })
    }

    /// The join tokens, without their secrets.
    func tokens(_ request: ServerRequest) async throws -> ListenerResponse {
        let tokens = try enrolment().ledger.tokens.values.sorted { $0.endSeconds < $1.endSeconds }
        return .json(
            PrometheusAnswer.success { writer in
                writer.beginArray()
                for token in tokens {
                    writer.beginObject()
                    EnrolmentAPI.write(token, &writer)
                    writer.endObject()
                }
                writer.endArray()
            })
    }

    private static func write(_ token: EnrolmentLedger.Token, _ writer: inout JSONWriter) {
        writer.member("id", token.id)
        writer.member("ends", Timestamps.rfc3339(milliseconds: token.endSeconds * 1_000))
        writer.key("uses")
        writer.number(Double(token.uses))
        writer.key("used")
        writer.number(Double(token.used))
        writer.member("creator", token.creator)
    }

    /// Takes a join token back.
    func removeToken(_ request: ServerRequest) async throws -> ListenerResponse {
        let id = request.capture("id")
        guard try await enrolment().removeToken(id: id) else {
            throw APIFailure(.notFound, "there is no join token \(id); `vedette enroll tokens` lists them")
        }
        log(.info, "a join token was taken back", [("token", id)], request)
        return .json(PrometheusAnswer.success { $0.null() })
    }

    /// Shuts an agent out, at once: also on the connections that it has open.
    func revoke(_ request: ServerRequest) async throws -> ListenerResponse {
        let agent = request.capture("agent")
        do throws(EnrolmentRefusal) {
            guard let enrolment = dependencies.enrolment else { throw .unknownAgent(agent: agent) }
            try await enrolment.revoke(agent, by: request.principal.name)
        } catch {
            guard case .unknownAgent = error else { throw APIFailure(error) }
            throw APIFailure(.notFound, "agent \(agent) is not enrolled here; `vedette agents list` shows who is")
        }
        cut(agent)
        log(.warning, "an agent was revoked; nothing is taken from it any more", [("agent", agent)], request)
        return .json(PrometheusAnswer.success { $0.null() })
    }

    // MARK: - What nodes ask

    /// Whom to believe: anybody may know. A node compares it with what its token pins before it says anything.
    func trust(_ request: ServerRequest) async throws -> ListenerResponse {
        let enrolment = try enrolment()
        let now = dependencies.wallClock.nowNanoseconds
        return .json(
            PrometheusAnswer.success { writer in
                writer.beginObject()
                writer.member("authorities", String(decoding: enrolment.trust, as: UTF8.self))
                writer.member("time", Timestamps.rfc3339(nanoseconds: now))
                writer.endObject()
            })
    }

    /// Lets a node in that shows the secret of a join token.
    func enroll(_ request: ServerRequest) async throws -> ListenerResponse {
        let enrolment = try enrolment()
        guard request.listener.isSecure else {
            throw APIFailure(.forbidden, "nodes join over TLS alone: the secret would be seen by others")
        }
        let value = try await EnrolmentAPI.json(request)
        guard let agent = value["agent"]?.text, AgentCommandsAPI.isAgent(agent) else {
            throw APIFailure.invalid("agent", "an agent's identity is 32 hexadecimal digits")
        }
        guard let secret = value["secret"]?.text.flatMap(Hexadecimal.bytes), secret.count == JoinToken.secretBytes
        else { throw APIFailure.invalid("secret", "\(JoinToken.secretBytes * 2) hexadecimal digits are expected") }
        let node = String((value["node"]?.text ?? "").prefix(253))
        let wish = try EnrolmentAPI.certificateRequest(value)
        do {
            try await checkBinding(agent, request)
            let certificate = try await enrolment.enroll(agent, node: node, secret: secret, request: wish)
            log(.info, "an agent was enrolled", [("agent", agent), ("node", node)], request)
            return EnrolmentAPI.answer(certificate, enrolment)
        } catch {
            let failure = APIFailure(describing: error)
            log(
                .warning, "a node was not enrolled",
                [("agent", agent), ("node", node), ("error", failure.message)], request)
            throw failure
        }
    }

    /// An id that an agent used before it was enrolled stays its own: whoever takes it over shows the secret.
    private func checkBinding(_ agent: String, _ request: ServerRequest) async throws(APIFailure) {
        guard let bindings = dependencies.bindings, bindings.isBound(agent) else { return }
        do throws(AgentBindings.Refusal) {
            _ = try await bindings.check(agent, secret: request.listener.fields[AgentBindings.field])
        } catch {
            throw APIFailure(.forbidden, error.description)
        }
    }

    /// The next certificate of an agent that shows the one it has.
    func renew(_ request: ServerRequest) async throws -> ListenerResponse {
        let enrolment = try enrolment()
        guard let peer = request.listener.peer, let agent = peer.agent else {
            throw APIFailure(.forbidden, "a certificate is renewed by whoever shows the one before")
        }
        let wish = try EnrolmentAPI.certificateRequest(try await EnrolmentAPI.json(request))
        do throws(EnrolmentRefusal) {
            let certificate = try await enrolment.renew(agent, peer: peer, request: wish)
            log(.info, "the certificate of an agent was renewed", [("agent", agent)], request)
            return EnrolmentAPI.answer(certificate, enrolment)
        } catch {
            throw APIFailure(error)
        }
    }

    private static func answer(_ certificate: [UInt8], _ enrolment: AgentEnrolment) -> ListenerResponse {
        .json(
            PrometheusAnswer.success { writer in
                writer.beginObject()
                writer.member("certificate", String(decoding: certificate, as: UTF8.self))
                writer.member("authorities", String(decoding: enrolment.trust, as: UTF8.self))
                writer.endObject()
            })
    }

    private static func json(_ request: ServerRequest) async throws -> JSONValue {
        let body = try await request.body(upTo: bodyBytesMaximum)
        do {
            return try JSONValue(parsing: body)
        } catch {
            throw APIFailure(.badData, "the body is not JSON: \(error)")
        }
    }

    private static func certificateRequest(_ value: JSONValue) throws(APIFailure) -> CertificateRequest {
        do throws(CertificateFailure) {
            return try CertificateRequest(pem: value["request"]?.text ?? "")
        } catch {
            throw APIFailure.invalid("request", error.description)
        }
    }

    private func enrolment() throws(APIFailure) -> AgentEnrolment {
        if let enrolment = dependencies.enrolment { return enrolment }
        throw APIFailure(
            .unavailable,
            "this server enrolls nobody: that needs TLS with `server.tls.names`, or a certificate and `ca_file`, and "
                + "no `client_ca_file` (docs/deploy.md)")
    }

    private func log(
        _ level: ServerLogEntry.Level, _ message: String, _ fields: [(name: String, value: String)],
        _ request: ServerRequest
    ) {
        let who: [(name: String, value: String)] = [
            ("principal", request.principal.name), ("remote", request.listener.remoteAddress),
        ]
        dependencies.log(ServerLogEntry(level, message, fields: fields + who))
    }
}

extension APIFailure {
    /// A refusal of enrolment, with the status that fits.
    init(_ refusal: EnrolmentRefusal) {
        switch refusal {
        case .notKept: self.init(.unavailable, refusal.description, retryAfterSeconds: 5)
        case .tooMany: self.init(.overloaded, refusal.description)
        case .unknownToken, .expiredToken, .usedToken: self.init(.unauthorized, refusal.description)
        // It is asked again, but there is no hurry: somebody has to do something first.
        case .revoked: self.init(.forbidden, refusal.description, retryAfterSeconds: 60)
        case .otherKey, .unknownAgent, .oldKey, .unusable: self.init(.forbidden, refusal.description)
        }
    }
}
