internal import Synchronization
internal import Telemetry
internal import Transport
internal import Wire

/// Why a server of Kubernetes did not say what it was asked.
enum KubernetesFailure: Error, Equatable, CustomStringConvertible {
    /// It forgot what it is asked about (410), or does not have it yet.
    case expired
    /// It does not know who asks (401).
    case unauthorized
    /// It does not tell whoever asks (403), in its own words.
    case forbidden(String)
    /// It is busy (429, 503): not before so many seconds.
    case busy(seconds: Int, String)
    /// The answer is longer than what is read.
    case tooLarge
    /// The answer, or a part of it, is none.
    case unreadable(String)
    case other(String)

    var description: String {
        switch self {
        case .expired: "what it was asked about has expired"
        case .unauthorized: "it does not accept the token (401)"
        case .forbidden(let words): "it does not allow that (403): \(words)"
        case .busy(_, let words): "it is busy: \(words)"
        case .tooLarge: "its answer is too long"
        case .unreadable(let words): "its answer is not understood: \(words)"
        case .other(let words): words
        }
    }

    /// What an answer without success says: a `Status` object, or a proxy's words.
    init(status: Int, fields: [HTTPField], body: [UInt8]) {
        let json = try? JSONValue(parsing: body)
        let message = json?["message"]?.text ?? String(decoding: body.prefix(300), as: UTF8.self)
        self.init(code: Int64(status), reason: json?["reason"]?.text, message: message, fields: fields)
    }

    /// What an object `Status` says, of an answer or within a watch.
    init(code: Int64, reason: String?, message: String, fields: [HTTPField] = []) {
        let words = String(message.prefix(500))
        let seconds = fields["Retry-After"].flatMap { Int($0) } ?? 0
        switch (code, reason) {
        case (410, _), (_, "Expired"), (_, "Gone"): self = .expired
        // A server that came back knows less than it told before.
        case (504, _) where words.contains("Too large resource version"): self = .expired
        case (401, _): self = .unauthorized
        case (403, _): self = .forbidden(words)
        case (429, _), (503, _): self = .busy(seconds: seconds, "\(code) \(words)")
        default: self = .other("it answered \(code): \(words)")
        }
    }
}

/// Who asks: a token and an authority, of files that are replaced while the agent runs.
final class ServiceAccount: Sendable {
    private let settings: KubernetesSettings
    private let read: @Sendable (String) async -> [UInt8]?
    private let adopt: @Sendable (TLSProfile, String) -> Void
    /// The profile that the sender has under each name.
    private let adopted = Mutex<[String: TLSProfile]>([:])

    static let apiProfile = "kubernetes"
    static let kubeletProfile = "kubelet"

    /// An account of the files that `settings` name. `read` reads a file; `adopt` makes the sender use a profile.
    init(
        _ settings: KubernetesSettings, read: @escaping @Sendable (String) async -> [UInt8]?,
        adopt: @escaping @Sendable (TLSProfile, String) -> Void
    ) {
        self.settings = settings
        self.read = read
        self.adopt = adopt
    }

    /// The fields that prove who asks, as the files are now; none over a connection that anybody may read.
    func fields(for endpoint: HTTPEndpoint, profile: String) async -> [HTTPField] {
        guard case .tls = endpoint.connection else { return [] }
        let isKubelet = profile == Self.kubeletProfile
        let file = (isKubelet ? settings.kubeletAuthorityFile : nil) ?? settings.authorityFile
        var next = TLSProfile(authorities: await read(file))
        // A kubelet's certificate has its node's name, not the address of the loopback.
        if isKubelet { next.verification = settings.isKubeletUnverified ? .none : .chainOnly }
        let isNews = adopted.withLock { $0.updateValue(next, forKey: profile) != next }
        if isNews { adopt(next, profile) }
        guard let bytes = await read(settings.tokenFile) else { return [] }
        let token = bytes.filter { $0 > 0x20 && $0 < 0x7f }
        return token.isEmpty ? [] : [HTTPField("Authorization", "Bearer \(String(decoding: token, as: UTF8.self))")]
    }
}

/// One server of Kubernetes.
struct KubernetesAPI: Sendable {
    var http: any HTTPSending
    var endpoint: HTTPEndpoint
    var account: ServiceAccount
    /// The TLS profile, which also says whether it is a kubelet.
    var profile: String

    /// A list that is longer comes in pages.
    static let listBytesMaximum = 16 << 20

    /// The whole answer to a question.
    func get(_ target: String, bytesMaximum: Int = listBytesMaximum) async throws -> [UInt8] {
        let reply: HTTPReply
        do {
            reply = try await http.send(await call(target, bytesMaximum: bytesMaximum))
        } catch let failure as HTTPFailure {
            if failure.stage == .tooLarge { throw KubernetesFailure.tooLarge }
            throw KubernetesFailure.other("\(failure)")
        }
        guard reply.status == 200 else {
            throw KubernetesFailure(status: reply.status, fields: reply.fields, body: reply.body)
        }
        return reply.body
    }

    /// An answer that goes on.
    func open(_ target: String) async throws -> any HTTPStream {
        let stream: any HTTPStream
        do {
            stream = try await http.open(await call(target, bytesMaximum: 0))
        } catch let failure as HTTPFailure {
            throw KubernetesFailure.other("\(failure)")
        }
        guard stream.status == 200 else {
            var body: [UInt8] = []
            while body.count < 64 << 10, let piece = try? await stream.next() { body += piece }
            throw KubernetesFailure(status: stream.status, fields: stream.fields, body: body)
        }
        return stream
    }

    private func call(_ target: String, bytesMaximum: Int) async -> HTTPCall {
        var fields = await account.fields(for: endpoint, profile: profile)
        fields.append(HTTPField("Accept", "application/json"))
        return HTTPCall(
            "GET", endpoint, target, fields: fields, timeoutMilliseconds: 15_000, replyBytesMaximum: bytesMaximum,
            tlsProfile: profile)
    }
}
