internal import NIOCore
public import Wire

/// Carries calls over TCP, TLS and unix sockets (HTTP/1.1), with a small pool of idle connections.
///
/// A call's time runs from the start of connecting to the end of the reply's head; `send` allows its body the same
/// again. Only a failure of stage `resolve` or `connect` proves that the peer saw nothing. When a pooled connection
/// turns out to be dead before any byte of a reply, an idempotent call is sent once more on a new one; all other
/// repeating is the caller's business. Redirects are not followed.
public final class HTTPClient: HTTPSending {
    /// What the pool may keep, and the name the client gives itself.
    package struct Options: Sendable {
        /// How long an idle connection is kept; less than what servers allow, so that stale ones are rare.
        package var idleMilliseconds: Int64
        package var idlePerPeerMaximum: Int
        package var idleTotalMaximum: Int
        package var userAgent: String

        /// Options; the defaults suit an agent.
        package init(
            idleMilliseconds: Int64 = 20_000, idlePerPeerMaximum: Int = 4, idleTotalMaximum: Int = 64,
            userAgent: String = "vedette"
        ) {
            self.idleMilliseconds = idleMilliseconds
            self.idlePerPeerMaximum = idlePerPeerMaximum
            self.idleTotalMaximum = idleTotalMaximum
            self.userAgent = userAgent
        }
    }

    private let options: Options
    private let connector: Connector
    private let pool: ConnectionPool

    /// A client; `tlsProfiles` are what calls name in `tlsProfile`.
    package init(options: Options = Options(), tlsProfiles: [String: TLSProfile] = [:]) {
        self.options = options
        connector = Connector(profiles: tlsProfiles)
        pool = ConnectionPool(
            idleMilliseconds: options.idleMilliseconds, perPeerMaximum: options.idlePerPeerMaximum,
            totalMaximum: options.idleTotalMaximum)
    }

    /// The number of idle connections kept.
    package var idleConnections: Int { pool.idleCount }

    /// Replaces a TLS profile while calls are made: those under way end as they began, those that begin from now on
    /// use connections of the new one.
    package func replace(_ profile: TLSProfile, named name: String) { connector.replace(profile, named: name) }

    /// Closes idle connections; calls under way go on, later ones use a connection each.
    package func close() { pool.close() }

    public func send(_ call: HTTPCall) async throws -> HTTPReply {
        let (exchange, head) = try await begin(call)
        let deadline = NIODeadline.now() + .milliseconds(call.timeoutMilliseconds)
        exchange.setDeadline(deadline, waitingFor: "end of the reply's body")
        if let length = head.fields["content-length"].flatMap({ Int($0) }), call.method != "HEAD" {
            try refuse(exchange, unless: length <= call.replyBytesMaximum)
        }
        var body: [UInt8] = []
        while let piece = try await exchange.next() {
            if body.isEmpty { body = piece } else { body += piece }
            try refuse(exchange, unless: body.count <= call.replyBytesMaximum)
        }
        return HTTPReply(status: head.status, fields: head.fields, body: body)
    }

    public func open(_ call: HTTPCall) async throws -> any HTTPStream {
        let (exchange, head) = try await begin(call)
        return ReplyStream(exchange, head: head)
    }

    private func refuse(_ exchange: Exchange, unless isSmallEnough: Bool) throws(HTTPFailure) {
        if isSmallEnough { return }
        let reason = "the reply's body is longer than \(exchange.call.replyBytesMaximum) bytes"
        exchange.fail(.tooLarge, reason)
        throw HTTPFailure(.tooLarge, "\(exchange.call.endpoint): \(reason)")
    }

    private func begin(_ call: HTTPCall) async throws -> (Exchange, ReplyHead) {
        try HTTPClient.check(call)
        let tls = try await connector.tls(for: call)
        let deadline = NIODeadline.now() + .milliseconds(call.timeoutMilliseconds)
        let first = Exchange(call)
        do {
            return (first, try await head(of: first, tls: tls, deadline: deadline, mayReuse: true))
        } catch let failure {
            guard first.isStaleConnection, HTTPClient.idempotentMethods.contains(call.method) else { throw failure }
            let second = Exchange(call)
            return (second, try await head(of: second, tls: tls, deadline: deadline, mayReuse: false))
        }
    }

    private func head(
        of exchange: Exchange, tls: TLSSettings?, deadline: NIODeadline, mayReuse: Bool
    ) async throws -> ReplyHead {
        try await withTaskCancellationHandler {
            // A net for what has no deadline of its own; connecting has one, and says so in its own words.
            exchange.setDeadline(deadline + .milliseconds(500), waitingFor: "connection")
            start(exchange, tls: tls, deadline: deadline, mayReuse: mayReuse)
            return try await exchange.head()
        } onCancel: {
            exchange.fail(.cancelled, "the caller gave up")
        }
    }

    private func start(_ exchange: Exchange, tls: TLSSettings?, deadline: NIODeadline, mayReuse: Bool) {
        let call = exchange.call
        let key = ConnectionKey(
            connection: call.endpoint.connection, tlsProfile: tls == nil ? nil : call.tlsProfile ?? "",
            generation: tls?.generation ?? 0)
        let userAgent = options.userAgent
        let begin: @Sendable (OpenConnection) -> Void = { open in
            exchange.setDeadline(deadline, waitingFor: "head of a reply")
            open.handler.value.start(exchange, userAgent: userAgent)
        }
        if mayReuse, let open = pool.take(key) {
            open.channel.eventLoop.execute { begin(open) }
            return
        }
        let left = max(.milliseconds(1), deadline - .now())
        let opening = connector.connect(call.endpoint, tls: tls, timeout: left) { [weak pool] connection in
            guard let pool else {
                connection.channel.close(mode: .all, promise: nil)
                return
            }
            pool.give(connection, for: key)
        } onClose: { [weak pool] channel in
            pool?.drop(channel, for: key)
        }
        opening.whenComplete { result in
            switch result {
            case .success(let connection): begin(connection)
            case .failure(let error):
                let (stage, reason) = Connector.failure(error)
                exchange.fail(stage, reason)
            }
        }
    }

    private static let idempotentMethods: Set<String> = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]

    /// Refuses what would let a value of the call end its line and begin another.
    private static func check(_ call: HTTPCall) throws(HTTPFailure) {
        let target = call.endpoint.basePath + call.target
        guard target.utf8.first == UInt8(ascii: "/"), target.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw HTTPFailure(
                .send, "\(call.endpoint): the target is not a percent-encoded path: \(target.debugDescription)")
        }
        for field in call.fields {
            let isToken = !field.name.isEmpty && field.name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != 0x3a }
            let isLine = field.value.utf8.allSatisfy { ($0 >= 0x20 && $0 != 0x7f) || $0 == 0x09 }
            guard isToken, isLine else {
                throw HTTPFailure(.send, "\(call.endpoint): the field \(field.name.debugDescription) is not valid")
            }
        }
    }
}
