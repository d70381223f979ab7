internal import Telemetry
internal import Wire

/// What the agent asks of a Docker-compatible engine over its socket: list, inspect, events, restart.
struct DockerEngine: Sendable {
    private let http: any HTTPSending
    /// The engine's socket.
    let endpoint: HTTPEndpoint

    /// The engine behind `socket`, a path.
    init(socket: String, http: any HTTPSending) {
        endpoint = HTTPEndpoint(.unix(path: socket))
        self.http = http
    }

    /// Why the engine did not do what it was asked.
    struct Refusal: Error, CustomStringConvertible {
        var status: Int
        var description: String
    }

    /// All containers, running or not, and whether they run: cheap for the engine, unlike `inspect`.
    func list() async throws -> [(id: String, isRunning: Bool)] {
        let list = try await get("/containers/json?all=1")
        return (list.elements ?? []).compactMap { element in
            element["Id"]?.text.map { ($0, element["State"]?.text == "running") }
        }
    }

    /// A container; nil when the engine has none of that id.
    func inspect(_ id: String) async throws -> Container? {
        do {
            return Container(engine: try await get("/containers/\(id)/json"))
        } catch let refusal as Refusal where refusal.status == 404 {
            return nil
        }
    }

    /// The folder in which the engine keeps its containers.
    func dataRoot() async throws -> String? { try await get("/info")["DockerRootDir"]?.text }

    /// Restarts a container: asks it to end, kills it after `graceSeconds`, starts it.
    func restart(_ id: String, graceSeconds: Int) async throws {
        let timeout = Int64(graceSeconds + 30) * 1000
        let call = HTTPCall(
            "POST", endpoint, "/containers/\(id)/restart?t=\(graceSeconds)", timeoutMilliseconds: timeout,
            replyBytesMaximum: 64 << 10)
        let reply = try await http.send(call)
        guard reply.status == 204 else { throw refusal(reply) }
    }

    /// What happens to containers from `sinceNanoseconds` on (0: from now), one JSON object after the other.
    func events(sinceNanoseconds: Int64) async throws -> any HTTPStream {
        // {"type":["container"]}, percent-encoded.
        var target = "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D"
        if sinceNanoseconds > 0 {
            let (seconds, rest) = sinceNanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
            let digits = String(rest)
            target += "&since=\(seconds).\(String(repeating: "0", count: 9 - digits.count))\(digits)"
        }
        let stream = try await http.open(HTTPCall("GET", endpoint, target, timeoutMilliseconds: 5_000))
        guard stream.status == 200 else {
            throw Refusal(status: stream.status, description: "the engine answered \(stream.status) to /events")
        }
        return stream
    }

    private func get(_ target: String) async throws -> JSONValue {
        let call = HTTPCall("GET", endpoint, target, timeoutMilliseconds: 5_000, replyBytesMaximum: 16 << 20)
        let reply = try await http.send(call)
        guard reply.status == 200 else { throw refusal(reply) }
        return try JSONValue(parsing: reply.body)
    }

    private func refusal(_ reply: HTTPReply) -> Refusal {
        let message = (try? JSONValue(parsing: reply.body))?["message"]?.text
        let words = message ?? String(decoding: reply.body.prefix(256), as: UTF8.self)
        return Refusal(status: reply.status, description: "the engine answered \(reply.status): \(words)")
    }
}

extension Container {
    /// Reads what the engine says about a container: the answer of `inspect`, or its own `config.v2.json`, which has
    /// the same shape but for a few names. Nil without an id.
    init?(engine json: JSONValue, hostConfiguration: JSONValue? = nil) {
        guard let id = json["Id"]?.text ?? json["ID"]?.text, ContainerPath.identifier(in: id) == id else { return nil }
        self.init(id: id)
        if let name = json["Name"]?.text, name.count > 1 { self.name = String(name.drop { $0 == "/" }) }
        let configuration = json["Config"]
        image = configuration?["Image"]?.text ?? ""
        for member in configuration?["Labels"]?.members ?? [] { labels[member.key] = member.value.text ?? "" }
        keepEnvironment((configuration?["Env"]?.elements ?? []).lazy.compactMap { $0.text })
        let state = json["State"]
        isRunning = state?["Running"]?.truth ?? false
        processIdentifier = Int32(clamping: state?["Pid"]?.wholeNumber ?? 0)
        startedNanoseconds = Self.time(state?["StartedAt"])
        createdNanoseconds = Self.time(json["Created"])
        let health = state?["Health"]?["Status"]?.text ?? ""
        self.health = health == "none" ? "" : health
        isSandbox = labels["io.kubernetes.docker.type"] == "podsandbox"
        let finished = Self.time(state?["FinishedAt"])
        let hasEnded = !isRunning && finished > 0
        finishedNanoseconds = hasEnded ? finished : 0
        isOutOfMemory = hasEnded && state?["OOMKilled"]?.truth == true
        exitCode = hasEnded ? state?["ExitCode"]?.wholeNumber.map { Int($0) } : nil
        restartCount = Int(json["RestartCount"]?.wholeNumber ?? 0)
        let host = hostConfiguration ?? json["HostConfig"]
        let driver = host?["LogConfig"]?["Type"]?.text ?? "json-file"
        if driver == "json-file", let path = json["LogPath"]?.text, !path.isEmpty { logPath = path }
        let mode = host?["NetworkMode"]?.text ?? "host"
        hasOwnNetwork = mode != "host" && mode != "none" && !mode.hasPrefix("container:")
    }

    /// Docker writes year 1 for "never".
    private static func time(_ value: JSONValue?) -> Int64 {
        max(0, value?.text.flatMap { Timestamps.nanoseconds(rfc3339: $0) } ?? 0)
    }
}
