import Synchronization
import Telemetry
import TestSupport
import Transport
import Wire

@testable import Agent

/// An API server and a kubelet over real TLS on the loopback, which misbehave as real ones do: they forget versions,
/// refuse tokens, cut watches in the middle of an object, drip, fall silent, and have lists too long to be read.
final class ClusterStage: Sendable {
    struct State: Sendable {
        var pods: [String: String] = [:]
        var nodes: [String: String] = [:]
        var version = 100
        /// What watches tell, by version.
        var events: [(version: Int, line: String)] = []
        /// What happened before is forgotten.
        var oldest = 0
        var token = "first"
        var questions: [String] = []
        /// Lines of watches are written in pieces of so many bytes; 0 as a whole.
        var pieceBytes = 0
        /// The next watches are cut in the middle of their first event.
        var cuts = 0
        /// The next watches end at once, without a word.
        var shortWatches = 0
        /// A forgotten version is told within the watch (200 and an ERROR), as some servers do, rather than by 410.
        var tellsWithin = false
        /// Lists without a limit are longer than anybody reads.
        var isHuge = false
        /// What is answered to everything: a status.
        var refusal: Int?
        var isKubeletAway = false
        /// Raised to end all watches at their proper end.
        var ends = 0
    }

    let state = Mutex(State())
    let authority: [UInt8]
    let client = HTTPClient()
    private let listener = Mutex<HTTPListener?>(nil)
    private let files: Mutex<[String: [UInt8]]>

    /// Listens; `stop` ends it.
    init() async throws {
        let now = SystemWallClock().nowNanoseconds
        let validity = CertificateValidity(
            startNanoseconds: now - 3_600_000_000_000, endNanoseconds: now + 3_600_000_000_000)
        let maker = try CertificateAuthority.make(name: "cluster", validity: validity)
        authority = maker.certificatePEM
        files = Mutex(["token": Array("first\n".utf8), "ca": maker.certificatePEM])
        let identity = try maker.serverIdentity(names: ["127.0.0.1"], validity: validity)
        let options = HTTPListener.Options(host: "127.0.0.1", port: 0, tls: identity)
        let listening = try await HTTPListener.start(options) { [unowned self] in await answer($0) }
        listener.withLock { $0 = listening }
    }

    func stop() async { await listener.withLock { $0 }?.shutdown(deadlineMilliseconds: 50) }

    /// Replaces one of the files `token` and `ca`; nil takes it away.
    func write(_ file: String, _ bytes: [UInt8]?) { files.withLock { $0[file] = bytes } }

    func api(_ profile: String) -> KubernetesAPI {
        var settings = KubernetesSettings()
        (settings.tokenFile, settings.authorityFile) = ("token", "ca")
        let account = ServiceAccount(
            settings, read: { [unowned self] path in files.withLock { $0[path] } },
            adopt: { [client] in client.replace($0, named: $1) })
        let port = listener.withLock { $0?.port } ?? 0
        return KubernetesAPI(
            http: client, endpoint: HTTPEndpoint(.tls(host: "127.0.0.1", port: port)), account: account,
            profile: profile)
    }

    // MARK: What happens in the cluster

    /// A pod as the API server writes it, with much that nobody asked for.
    static func pod(_ name: String, uid: String, version: Int = 1, phase: String = "Running") -> String {
        """
        {"kind":"Pod","metadata":{"name":"\(name)","namespace":"shop","uid":"\(uid)","resourceVersion":"\(version)",\
        "managedFields":[{"manager":"kubelet","fieldsV1":{"f:status":{"f:phase":{}}}}],"labels":{"env":"prod"}},\
        "spec":{"nodeName":"n1","containers":[{"name":"app","env":[{"name":"A","value":"b"}]}],"later":{"x":[null]}},\
        "status":{"phase":"\(phase)","newField":1.5}}
        """
    }

    /// Puts a pod, or takes it away.
    func change(_ name: String, uid: String, phase: String? = "Running") {
        state.withLock { state in
            state.version += 1
            let type = phase == nil ? "DELETED" : state.pods[uid] == nil ? "ADDED" : "MODIFIED"
            let text = Self.pod(name, uid: uid, version: state.version, phase: phase ?? "Running")
            state.pods[uid] = phase == nil ? nil : text
            state.events.append((state.version, "{\"type\":\"\(type)\",\"object\":\(text)}\n"))
        }
    }

    /// Tells something in all watches.
    func tell(_ line: String) {
        state.withLock { state in
            state.version += 1
            state.events.append((state.version, line))
        }
    }

    var questions: [String] { state.withLock { $0.questions } }

    // MARK: Answers

    private func answer(_ request: ListenerRequest) async -> ListenerResponse {
        let target = request.target
        let shown = state.withLock { state in
            state.questions.append(target)
            return state
        }
        if request.fields["Authorization"] != "Bearer \(shown.token)" { return Self.status(401, "Unauthorized") }
        if let refusal = shown.refusal { return Self.status(refusal, "Refused") }
        if target == "/pods" {
            return shown.isKubeletAway
                ? Self.status(503, "away") : list(shown.pods.values.sorted(), version: "", token: "")
        }
        let query = (try? QueryString(parsing: String(target.drop { $0 != "?" }.dropFirst()))) ?? QueryString()
        func item(_ name: String) -> String? { query.items.first { $0.name == name }?.value }
        let asked = Int(item("resourceVersion") ?? "") ?? 0
        if item("watch") != nil {
            if asked < shown.oldest, !shown.tellsWithin { return Self.status(410, "Expired") }
            return watch(from: asked)
        }
        if asked != 0, asked < shown.oldest { return Self.status(410, "Expired") }
        let objects = (target.hasPrefix("/api/v1/nodes") ? shown.nodes : shown.pods).sorted { $0.key < $1.key }.map(
            \.value)
        guard let limit = item("limit").flatMap({ Int($0) }) else {
            if shown.isHuge {
                return ListenerResponse(
                    status: 200, body: .bytes([UInt8](repeating: 0x20, count: KubernetesAPI.listBytesMaximum + 1)))
            }
            return list(objects, version: "\(shown.version)", token: "")
        }
        let from = Int(item("continue") ?? "") ?? 0
        let page = objects.dropFirst(from).prefix(limit)
        let rest = from + page.count < objects.count ? "\(from + page.count)" : ""
        return list(Array(page), version: "\(shown.version)", token: rest)
    }

    private func list(_ objects: [String], version: String, token: String) -> ListenerResponse {
        let text = """
            {"kind":"PodList","metadata":{"resourceVersion":"\(version)","continue":"\(token)"},\
            "items":[\(objects.joined(separator: ","))],"later":{}}
            """
        return ListenerResponse(status: 200, body: .bytes(Array(text.utf8)))
    }

    private func watch(from asked: Int) -> ListenerResponse {
        ListenerResponse(
            status: 200,
            body: .stream { [unowned self] writer in
                var cursor = asked
                let begun = state.withLock { state in
                    defer {
                        if state.shortWatches > 0 { state.shortWatches -= 1 }
                    }
                    return state
                }
                if begun.shortWatches > 0 { return }
                if asked < begun.oldest {
                    let words = "{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\",\"message\":\"too old\"}"
                    return try await writer.write(Array("{\"type\":\"ERROR\",\"object\":\(words)}\n".utf8))
                }
                while !Task.isCancelled {
                    let (events, ends, piece, cut) = state.withLock { state in
                        let events = state.events.filter { $0.version > cursor }
                        let cut = state.cuts > 0 && !events.isEmpty
                        if cut { state.cuts -= 1 }
                        return (events, state.ends, state.pieceBytes, cut)
                    }
                    if ends != begun.ends { return }
                    for event in events {
                        let bytes = Array(event.line.utf8)
                        if cut {
                            try await writer.write(Array(bytes.prefix(bytes.count / 2)))
                            throw HTTPFailure(.body, "cut")
                        }
                        let size = piece > 0 ? piece : bytes.count
                        for start in stride(from: 0, to: bytes.count, by: size) {
                            try await writer.write(Array(bytes[start..<min(bytes.count, start + size)]))
                        }
                        cursor = event.version
                    }
                    try await Task.sleep(for: .milliseconds(2))
                }
            })
    }

    private static func status(_ code: Int, _ reason: String) -> ListenerResponse {
        let text = "{\"kind\":\"Status\",\"code\":\(code),\"reason\":\"\(reason)\",\"message\":\"\(reason) it is\"}"
        return ListenerResponse(status: code, body: .bytes(Array(text.utf8)))
    }
}

/// A watch of pods that runs against a stage.
final class RunningWatch: Sendable {
    let known = Mutex<[String: PodDescription]>([:])
    let signs = Atomic<Int>(0)
    let notices = Mutex<[String]>([])
    private let task = Mutex<Task<Void, Never>?>(nil)

    init(_ stage: ClusterStage, silenceMilliseconds: Int64 = 5_000) {
        var patience = ObjectWatch<PodDescription>.Patience()
        patience.firstPauseMilliseconds = 4
        patience.lastPauseMilliseconds = 20
        patience.silenceMilliseconds = silenceMilliseconds
        patience.shortMilliseconds = 50
        var watch = ObjectWatch<PodDescription>(
            api: stage.api(ServiceAccount.apiProfile), path: "/api/v1/pods", selector: "spec.nodeName=n1",
            clock: SystemMonotonicClock(),
            notices: Notices { [unowned self] notice in notices.withLock { $0.append(notice.text) } },
            read: { json in PodDescription(json).map { ($0.uid, $0) } },
            publish: { [unowned self] pods in
                signs.add(1, ordering: .relaxed)
                if let pods { known.withLock { $0 = pods } }
            })
        watch.patience = patience
        let running = watch
        task.withLock { $0 = Task { await running.run() } }
    }

    func stop() async {
        let running = task.withLock { $0 }
        running?.cancel()
        await running?.value
    }

    /// Waits until the pods that are known have these names and phases.
    func knows(_ pods: [String: String], seconds: Double = 5) async -> Bool {
        await Self.holds(seconds: seconds) {
            known.withLock { $0 }.values.reduce(into: [:]) { $0[$1.name] = $1.phase } == pods
        }
    }

    /// Waits until `condition` holds; false after `seconds`.
    static func holds(seconds: Double = 5, _ condition: () -> Bool) async -> Bool {
        for _ in 0..<Int(seconds * 200) {
            if condition() { return true }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return condition()
    }
}
