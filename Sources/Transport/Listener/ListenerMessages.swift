internal import Synchronization
package import Wire

/// A request as a listener's handler sees it. The body is still on its way: ask for it, or answer without.
package struct ListenerRequest: Sendable {
    package var method: String
    /// The path with its query, as it was sent: percent-encoded.
    package var target: String
    package var fields: [HTTPField]
    /// The client's address and port, or "unix".
    package var remoteAddress: String
    /// Whether the client's address is this machine.
    package var isLoopback: Bool
    package var isSecure: Bool
    /// The client's certificate, where the listener asks for one of its agents and the client has shown it.
    package var peer: PeerCertificate?
    package var body: ListenerBody
    let disconnection: Disconnection

    init(
        method: String, target: String, fields: [HTTPField], remoteAddress: String, isLoopback: Bool, isSecure: Bool,
        peer: PeerCertificate?, body: ListenerBody, disconnection: Disconnection
    ) {
        self.method = method
        self.target = target
        self.fields = fields
        self.remoteAddress = remoteAddress
        self.isLoopback = isLoopback
        self.isSecure = isSecure
        self.peer = peer
        self.body = body
        self.disconnection = disconnection
    }

    /// Whether the client asks to go on over a WebSocket.
    package var asksForWebSocket: Bool {
        method == "GET" && fields["upgrade"]?.lowercased().contains("websocket") == true
    }

    /// Calls `action` once, on any thread, when the client goes away before it has the whole answer; at once when it
    /// has gone already. The handler's task is cancelled as well: this is for work that runs on other threads.
    package func onDisconnect(_ action: @escaping @Sendable () -> Void) { disconnection.add(action) }
}

/// What to do when a client goes away in the middle.
final class Disconnection: Sendable {
    private let state = Mutex<(hasHappened: Bool, actions: [@Sendable () -> Void])>((false, []))

    func add(_ action: @escaping @Sendable () -> Void) {
        let isNow = state.withLock { state in
            if !state.hasHappened { state.actions.append(action) }
            return state.hasHappened
        }
        if isNow { action() }
    }

    func happen() {
        let actions = state.withLock { state in
            state.hasHappened = true
            defer { state.actions = [] }
            return state.actions
        }
        for action in actions { action() }
    }

    /// The answer is whole: nothing is left to be stopped.
    func forget() { state.withLock { $0.actions = [] } }
}

/// Why a request's body did not arrive whole.
package enum ListenerBodyFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// It is longer than the handler takes: 413.
    case tooLarge(bytesMaximum: Int)
    /// The client went away.
    case disconnected
    /// It came too slowly: 408.
    case tooSlow(milliseconds: Int64)
    /// The chunks are not what HTTP says: 400.
    case malformed(String)

    package var description: String {
        switch self {
        case .tooLarge(let maximum):
            "the request's body is longer than the \(maximum) bytes taken here; send less at once"
        case .disconnected: "the client closed the connection in the middle of the request's body"
        case .tooSlow(let milliseconds): "the request's body did not arrive within \(milliseconds) ms"
        case .malformed(let reason): "the request's body is malformed: \(reason)"
        }
    }

    /// The status that answers it.
    package var status: Int {
        switch self {
        case .tooLarge: 413
        case .disconnected, .malformed: 400
        case .tooSlow: 408
        }
    }
}

/// The body of a request, read from the socket only as it is asked for.
package struct ListenerBody: Sendable {
    /// What `Content-Length` says; nil for a chunked body.
    package let announcedBytes: Int?
    let pipe: BodyPipe

    init(announcedBytes: Int?, pipe: BodyPipe) {
        self.announcedBytes = announcedBytes
        self.pipe = pipe
    }

    /// The next bytes; nil at the end. Throws `ListenerBodyFailure`.
    package func next() async throws -> [UInt8]? { try await pipe.next() }

    /// The whole body. Throws `ListenerBodyFailure`, at once when the announced length is too much.
    package func collect(upTo bytesMaximum: Int) async throws -> [UInt8] {
        if let announcedBytes, announcedBytes > bytesMaximum {
            throw ListenerBodyFailure.tooLarge(bytesMaximum: bytesMaximum)
        }
        let whole = try await pipe.gather(upTo: bytesMaximum, announced: announcedBytes ?? 0)
        guard whole.count <= bytesMaximum else { throw ListenerBodyFailure.tooLarge(bytesMaximum: bytesMaximum) }
        return whole
    }
}

/// A handler's answer.
package struct ListenerResponse: Sendable {
    /// The bytes behind the head.
    package enum Body: Sendable {
        case bytes([UInt8])
        /// Written piece by piece; the writer waits for the client. When it throws, the connection is cut, so that
        /// nobody takes half an answer for a whole one.
        case stream(@Sendable (ListenerWriter) async throws -> Void)
        /// The connection becomes a WebSocket that messages are sent over, for a request that `asksForWebSocket`.
        /// When the producer is done the client is told good-bye; status and fields are those of the handshake.
        case webSocket(@Sendable (WebSocketWriter) async throws -> Void)
    }

    package var status: Int
    package var fields: [HTTPField]
    package var body: Body
    /// Held until the client has taken the answer, or has gone: what the answer is counted in.
    package var kept: (any AnyObject & Sendable)?

    /// An answer.
    package init(status: Int, fields: [HTTPField] = [], body: Body = .bytes([])) {
        self.status = status
        self.fields = fields
        self.body = body
    }

    /// A text for people, with its line end.
    package static func text(_ status: Int, _ text: String, fields: [HTTPField] = []) -> ListenerResponse {
        let type = HTTPField("Content-Type", "text/plain; charset=utf-8")
        return ListenerResponse(status: status, fields: fields + [type], body: .bytes(Array("\(text)\n".utf8)))
    }
}
