internal import Glibc
internal import Telemetry
internal import Transport
internal import Wire

/// Asks a running server and turns every way of failing into words for people.
struct ServerClient {
    let endpoint: HTTPEndpoint
    private let token: String?
    let client: HTTPClient
    private let tlsProfile: String?

    /// A client for the server the options name.
    init(_ options: ClientOptions) throws { try self.init(options.connection) }

    /// A client for the server the options name.
    init(_ options: ConnectionOptions) throws {
        let address = options.server ?? ServerClient.environment("VEDETTE_SERVER") ?? "http://127.0.0.1:9797"
        do {
            endpoint = try HTTPEndpoint.parse(address)
        } catch {
            throw CommandFailure.wrongUsage("the server address \(address): \(error)")
        }
        let authorities = options.caFile ?? ServerClient.environment("VEDETTE_CA_FILE")
        let profile = try authorities.map { TLSProfile(authorities: try TLSFiles.read($0, "--ca-file")) }
        client = HTTPClient(tlsProfiles: profile.map { ["named": $0] } ?? [:])
        tlsProfile = profile == nil ? nil : "named"
        token = try (options.tokenFile ?? ServerClient.environment("VEDETTE_TOKEN_FILE")).map(TokenFile.read)
    }

    /// The `data` of a Prometheus-shaped answer; its warnings go to standard error.
    func data(
        _ path: String, _ parameters: [(String, String)] = [], method: String = "GET",
        timeoutMilliseconds: Int64 = 150_000
    ) async throws -> JSONValue {
        let answer = try await json(path, parameters, method: method, timeoutMilliseconds: timeoutMilliseconds)
        for key in ["warnings", "infos"] {
            for text in answer[key]?.elements ?? [] { Terminal.note("\(key.dropLast()): \(text.text ?? "")") }
        }
        return answer["data"] ?? .null
    }

    /// A whole JSON answer; any status but 2xx is a failure in the server's own words.
    func json(
        _ path: String, _ parameters: [(String, String)] = [], method: String = "GET",
        timeoutMilliseconds: Int64 = 150_000
    ) async throws -> JSONValue {
        try answer(
            path, try await bytes(path, parameters, method: method, timeoutMilliseconds: timeoutMilliseconds))
    }

    private func answer(_ path: String, _ body: [UInt8]) throws -> JSONValue {
        if body.isEmpty { return .null }
        do {
            return try JSONValue(parsing: body)
        } catch {
            throw CommandFailure(
                "\(endpoint) answered \(path) with something that is not JSON (\(error)); is it a Vedette?")
        }
    }

    /// The body of an answer; any status but 2xx is a failure in the server's own words.
    func bytes(
        _ path: String, _ parameters: [(String, String)] = [], method: String = "GET",
        timeoutMilliseconds: Int64 = 150_000
    ) async throws -> [UInt8] {
        try await body(of: call(path, parameters, method: method, timeoutMilliseconds: timeoutMilliseconds))
    }

    private func body(of call: HTTPCall) async throws -> [UInt8] {
        let reply: HTTPReply
        do {
            reply = try await client.send(call)
        } catch let failure as HTTPFailure {
            throw unreachable(failure)
        }
        guard (200..<300).contains(reply.status) else {
            throw CommandFailure(words(of: reply))
        }
        return reply.body
    }

    /// The `data` of the answer to a POST of JSON.
    func data(_ path: String, posting json: [UInt8]) async throws -> JSONValue {
        var call = call(path, [], method: "POST", timeoutMilliseconds: 30_000)
        call.fields.removeAll { $0.name == "Content-Type" }
        call.fields.append(HTTPField("Content-Type", "application/json"))
        call.body = json
        return try answer(path, try await body(of: call))["data"] ?? .null
    }

    /// A call with the client's credentials, its parameters in the query string or, for POST, in a form.
    func call(
        _ path: String, _ parameters: [(String, String)], method: String, timeoutMilliseconds: Int64
    ) -> HTTPCall {
        var fields = [HTTPField("Accept", "application/json")]
        if let token { fields.append(HTTPField("Authorization", "Bearer \(token)")) }
        let encoded = QueryString(parameters.map { QueryString.Item($0.0, $0.1) }).encoded
        var call = HTTPCall(method, endpoint, path, fields: fields, timeoutMilliseconds: timeoutMilliseconds)
        call.replyBytesMaximum = 1 << 30
        call.tlsProfile = tlsProfile
        if method == "POST" {
            call.fields.append(HTTPField("Content-Type", "application/x-www-form-urlencoded"))
            call.body = Array(encoded.utf8)
        } else if !encoded.isEmpty {
            call.target += "?\(encoded)"
        }
        return call
    }

    /// What to say when nobody answers.
    func unreachable(_ failure: HTTPFailure) -> CommandFailure {
        guard failure.stage != .tls else {
            return CommandFailure(
                "\(failure); --ca-file names who vouches for a server (its own authority: DATA/enrolment/ca.pem), "
                    + "http:// asks one without TLS")
        }
        return CommandFailure(
            "\(endpoint) cannot be reached (\(failure)); start one with `vedette up`, or name one with --server")
    }

    /// Why the server refused what it was asked with these parameters: a place in a query is marked below it.
    func words(of reply: HTTPReply, _ parameters: [(String, String)]) -> String {
        let message = words(of: reply)
        return parameters.first { $0.0 == "query" }.map { QueryCommand.pointing(message, $0.1) } ?? message
    }

    /// Why the server answered as it did, and what to do where its words are for programs.
    func words(of reply: HTTPReply) -> String {
        let parsed = try? JSONValue(parsing: reply.body)
        var text = parsed?["error"]?.text ?? String(decoding: reply.body.prefix(2_000), as: UTF8.self)
        while text.last?.isNewline == true { text.removeLast() }
        if text.isEmpty { text = "the server answered \(reply.status)" }
        guard reply.status == 401 else { return text }
        return text
            + (token == nil
                ? "; name the file of one with --token-file or $VEDETTE_TOKEN_FILE"
                : "; see whether --token-file or $VEDETTE_TOKEN_FILE names the right one")
    }

    static func environment(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        let text = String(cString: value)
        return text.isEmpty ? nil : text
    }
}
