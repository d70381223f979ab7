/// One header field. Names compare without regard to case.
public struct HTTPField: Hashable, Sendable {
    public var name: String
    public var value: String

    /// A field.
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

extension [HTTPField] {
    /// The first value of `name`, whatever its case; nil when absent.
    public subscript(name: String) -> String? {
        first { $0.name.lowercased() == name.lowercased() }?.value
    }
}

/// Where a call goes: a scheme, a host and port or a unix socket, and a base path.
public struct HTTPEndpoint: Hashable, Sendable, CustomStringConvertible {
    /// How bytes get there.
    public enum Connection: Hashable, Sendable {
        case tcp(host: String, port: Int)
        case tls(host: String, port: Int)
        case unix(path: String)
    }

    public var connection: Connection
    /// What is put in front of each call's path; no slash at its end.
    public var basePath: String

    /// An endpoint.
    public init(_ connection: Connection, basePath: String = "") {
        self.connection = connection
        self.basePath = basePath
    }

    /// The value of the Host field.
    public var authority: String {
        switch connection {
        case .tcp(let host, let port): port == 80 ? bracketed(host) : "\(bracketed(host)):\(port)"
        case .tls(let host, let port): port == 443 ? bracketed(host) : "\(bracketed(host)):\(port)"
        case .unix: "localhost"
        }
    }

    public var description: String {
        switch connection {
        case .tcp: "http://\(authority)\(basePath)"
        case .tls: "https://\(authority)\(basePath)"
        case .unix(let path): "unix://\(path)\(basePath)"
        }
    }

    private func bracketed(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }
}

/// A request as a value: receivers, scrapers and forwarders build it, `HTTPSending` carries it.
public struct HTTPCall: Sendable, Equatable {
    public var endpoint: HTTPEndpoint
    public var method: String
    /// Path and query, beginning with "/", percent-encoded, behind the endpoint's base path.
    public var target: String
    public var fields: [HTTPField]
    public var body: [UInt8]
    /// From the start of connecting to the last byte of the head; a streaming body may take longer.
    public var timeoutMilliseconds: Int64
    /// A longer body of the reply is an error.
    public var replyBytesMaximum: Int
    /// TLS settings by name as the sender was configured with them; nil for the default trust.
    public var tlsProfile: String?

    /// A call.
    public init(
        _ method: String, _ endpoint: HTTPEndpoint, _ target: String, fields: [HTTPField] = [], body: [UInt8] = [],
        timeoutMilliseconds: Int64 = 10_000, replyBytesMaximum: Int = 64 << 20, tlsProfile: String? = nil
    ) {
        self.endpoint = endpoint
        self.method = method
        self.target = target
        self.fields = fields
        self.body = body
        self.timeoutMilliseconds = timeoutMilliseconds
        self.replyBytesMaximum = replyBytesMaximum
        self.tlsProfile = tlsProfile
    }
}

/// A whole reply.
public struct HTTPReply: Sendable, Equatable {
    public var status: Int
    public var fields: [HTTPField]
    public var body: [UInt8]

    /// A reply.
    public init(status: Int, fields: [HTTPField] = [], body: [UInt8] = []) {
        self.status = status
        self.fields = fields
        self.body = body
    }
}

/// A reply whose body arrives piece by piece. Letting go of it closes the connection.
public protocol HTTPStream: AnyObject, Sendable {
    var status: Int { get }
    var fields: [HTTPField] { get }
    /// The next piece of the body; nil at its proper end. Throws `HTTPFailure` when it is cut short.
    func next() async throws -> [UInt8]?
}

/// Why a call got no whole reply.
public struct HTTPFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// Where it failed; only `connect` and `resolve` prove that the peer saw nothing of the call.
    public enum Stage: String, Sendable {
        case resolve
        case connect
        case tls
        case send
        case head
        case body
        case timeout
        case tooLarge = "too large"
        case cancelled
    }

    public var stage: Stage
    /// The endpoint and what happened, with no secrets in it.
    public var reason: String

    /// A failure.
    public init(_ stage: Stage, _ reason: String) {
        self.stage = stage
        self.reason = reason
    }

    public var description: String { "\(stage.rawValue): \(reason)" }
}

/// Port: carries calls over TCP, TLS and unix sockets.
public protocol HTTPSending: Sendable {
    /// Sends a call and collects the whole reply. Throws `HTTPFailure`; a status of 400 and above is no failure.
    func send(_ call: HTTPCall) async throws -> HTTPReply
    /// Sends a call and returns after the head of the reply, for bodies that go on for ever.
    func open(_ call: HTTPCall) async throws -> any HTTPStream
}
