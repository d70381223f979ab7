internal import Glibc
internal import NIOCore
internal import NIOHTTP1
internal import NIOSSL
internal import Wire

/// One connection to a peer: carries one exchange after the other, and tells the pool when it is idle.
final class ClientConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let isSecure: Bool
    private let onIdle: @Sendable (any Channel) -> Void
    private var context: ChannelHandlerContext?
    private var exchange: Exchange?
    private var exchangesBefore = 0
    private var isRequestWritten = false
    /// Bytes of the call have left, which also means that a TLS handshake was completed.
    private var isHeadWritten = false
    private var isHeadReceived = false
    private var isKeptAlive = false

    init(isSecure: Bool, onIdle: @escaping @Sendable (any Channel) -> Void) {
        self.isSecure = isSecure
        self.onIdle = onIdle
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        loseExchange()
        self.context = nil
    }

    /// Sends the call of `exchange`. Called on the connection's loop, when it is idle.
    func start(_ exchange: Exchange, userAgent: String) {
        guard let context, context.channel.isActive, self.exchange == nil else {
            exchange.fail(.send, "the connection was closed", isStaleConnection: true)
            return
        }
        guard exchange.attach(to: context.channel) else {
            finishIdle(context)
            return
        }
        self.exchange = exchange
        isRequestWritten = false
        isHeadWritten = false
        isHeadReceived = false
        isKeptAlive = false
        let channel = context.channel
        exchange.pipe.setDemand { channel.read() }
        write(exchange.call, userAgent: userAgent, context: context)
        context.read()
    }

    private func write(_ call: HTTPCall, userAgent: String, context: ChannelHandlerContext) {
        var headers = HTTPHeaders(call.fields.map { ($0.name, $0.value) })
        if !headers.contains(name: "host") { headers.add(name: "Host", value: call.endpoint.authority) }
        if !headers.contains(name: "user-agent") { headers.add(name: "User-Agent", value: userAgent) }
        if !call.body.isEmpty || ["POST", "PUT", "PATCH"].contains(call.method) {
            headers.replaceOrAdd(name: "Content-Length", value: String(call.body.count))
        }
        let head = HTTPRequestHead(
            version: .http1_1, method: HTTPMethod(rawValue: call.method), uri: call.endpoint.basePath + call.target,
            headers: headers)
        let headPromise = context.eventLoop.makePromise(of: Void.self)
        let endPromise = context.eventLoop.makePromise(of: Void.self)
        headPromise.futureResult.assumeIsolated().whenSuccess { self.isHeadWritten = true }
        endPromise.futureResult.assumeIsolated().whenComplete { result in
            switch result {
            case .success:
                self.isRequestWritten = true
                if self.exchange == nil, self.isKeptAlive { self.finishIdle(context) }
            case .failure(let error): self.fail(error)
            }
        }
        context.write(wrapOutboundOut(.head(head)), promise: headPromise)
        if !call.body.isEmpty {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: call.body)))), promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: endPromise)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let exchange else {
            // A peer that talks unasked is not to be trusted with the next call.
            context.close(promise: nil)
            return
        }
        switch unwrapInboundIn(data) {
        case .head(let head):
            isHeadReceived = true
            isKeptAlive = head.isKeepAlive
            let fields = head.headers.map { HTTPField($0.name, $0.value) }
            exchange.receive(ReplyHead(status: Int(head.status.code), fields: fields))
        case .body(let buffer): exchange.pipe.push(buffer.readableBytesView)
        case .end:
            self.exchange = nil
            // First the pool, then the caller, whose next call should find the connection there. When the reply came
            // before the end of the call, the rest is still being written; only then is the connection idle.
            if isKeptAlive && isRequestWritten { finishIdle(context) }
            exchange.complete()
            if !isKeptAlive { context.close(promise: nil) }
        }
    }

    private func finishIdle(_ context: ChannelHandlerContext) {
        exchangesBefore += 1
        onIdle(context.channel)
        // Keeps an ear open for the peer's close.
        context.read()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // Until the head has come nobody asks for the body yet, but everybody waits.
        guard let exchange else {
            context.read()
            return
        }
        if !isHeadReceived || exchange.pipe.wantsMore { context.read() }
    }

    func channelInactive(context: ChannelHandlerContext) { loseExchange() }

    private func loseExchange() {
        guard let exchange else { return }
        self.exchange = nil
        let isStale = exchangesBefore > 0 && !isHeadReceived
        let (stage, reason) = stageOfClose
        exchange.fail(stage, reason, isStaleConnection: isStale)
    }

    private var stageOfClose: (HTTPFailure.Stage, String) {
        if isHeadReceived { return (.body, "the peer closed the connection in the middle of the reply's body") }
        if isRequestWritten { return (.head, "the peer closed the connection without a reply") }
        if isSecure && !isHeadWritten { return (.tls, "the peer closed the connection during the TLS handshake") }
        return (.send, "the peer closed the connection before it had the whole call")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(error)
        context.close(promise: nil)
    }

    private func fail(_ error: any Error) {
        guard let exchange else { return }
        if case NIOSSLError.uncleanShutdown = error, isHeadReceived {
            // Many peers close without saying goodbye; whether the body was whole the decoder says.
            return
        }
        self.exchange = nil
        let isConnectionLost = error is IOError || error is ChannelError
        let isStale = exchangesBefore > 0 && !isHeadReceived && isConnectionLost
        if isSecure && !isHeadWritten && exchangesBefore == 0 {
            exchange.fail(.tls, "TLS handshake failed: \(ClientConnection.words(error))")
        } else if error is HTTPParserError {
            let reason = isEndOfStream(error) ? stageOfClose.1 : "the reply is not HTTP: \(error)"
            exchange.fail(isHeadReceived ? .body : .head, reason)
        } else {
            exchange.fail(stageOfClose.0, ClientConnection.words(error), isStaleConnection: isStale)
        }
    }

    private func isEndOfStream(_ error: any Error) -> Bool {
        (error as? HTTPParserError).map { $0 == .invalidEOFState } ?? false
    }

    /// What the system or the TLS library says, without the names of its functions.
    static func words(_ error: any Error) -> String {
        switch error {
        case let error as IOError: String(cString: strerror(error.errnoCode)).lowercased()
        case ChannelError.connectTimeout(let amount): "timed out after \(amount.nanoseconds / 1_000_000) ms"
        case ChannelError.ioOnClosedChannel, ChannelError.alreadyClosed, ChannelError.eof: "the connection was closed"
        default: TLSFailureText.words(error) ?? "\(error)"
        }
    }
}
