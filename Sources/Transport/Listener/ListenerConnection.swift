internal import NIOCore
internal import NIOHTTP1
internal import NIOSSL
internal import NIOWebSocket
internal import Wire

/// One client's connection: hands one request after the other to the handler and writes the answers in that order.
///
/// Requests sent ahead wait in `queue`, and the socket is not read while an answer is due, so a client that pipelines
/// without reading costs one read buffer. Used on its event loop.
final class ListenerConnection: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    let options: HTTPListener.Options
    private let handler: @Sendable (ListenerRequest) async -> ListenerResponse
    private var context: ChannelHandlerContext?
    private var exchange: ListenerExchange?
    private var queue = CircularBuffer<HTTPServerRequestPart>()
    /// No further request: the connection closes behind the answer.
    private var isLastAnswer = false
    /// The answer is out, and what the client still sends is thrown away until it has read it.
    private var isLingering = false
    private var lingeredBytes = 0
    private var headBytes = 0
    private var receiveTimer: DeadlineTimer?
    private var sendTimer: DeadlineTimer?
    /// Since the send timer was set.
    private var sendProgress = SendProgress()
    /// The certificate that the client has shown, known from the first request on.
    private(set) var peer: PeerCertificate?
    private var isPeerKnown = false
    /// What the connection was handed over to; it is not HTTP any more then.
    private var webSocket: WebSocketConnection?

    init(
        options: HTTPListener.Options, handler: @escaping @Sendable (ListenerRequest) async -> ListenerResponse
    ) {
        self.options = options
        self.handler = handler
    }

    // MARK: - The life of the connection

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        receiveTimer = DeadlineTimer(on: context.eventLoop) { [unowned self] in receiveTimedOut() }
        sendTimer = DeadlineTimer(on: context.eventLoop) { [unowned self] in sendTimedOut() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        endExchange()
        receiveTimer?.cancel()
        sendTimer?.cancel()
        // The timers' actions hold the context, which holds this handler.
        receiveTimer = nil
        sendTimer = nil
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        receiveTimer?.set(milliseconds: options.headMilliseconds)
        context.read()
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        receiveTimer?.cancel()
        sendTimer?.cancel()
        queue.removeAll()
        endExchange()
    }

    /// The client has gone in the middle.
    private func endExchange() {
        guard let exchange else { return }
        self.exchange = nil
        exchange.end()
        exchange.task?.cancel()
        exchange.disconnection.happen()
    }

    /// Answers what is under way and takes nothing more.
    func quiesce() {
        if let webSocket { return webSocket.close(.goingAway) }
        isLastAnswer = true
        queue.removeAll()
        if exchange == nil && !isLingering { context?.close(promise: nil) }
    }

    private func receiveTimedOut() {
        guard let context else { return }
        if let exchange, !exchange.isRequestWhole {
            isLastAnswer = true
            exchange.pipe.fail(ListenerBodyFailure.tooSlow(milliseconds: options.bodyMilliseconds))
        } else if exchange == nil && headBytes > 0 && !isLingering {
            refuse(408, "the head of the request did not arrive within \(options.headMilliseconds) ms")
        } else {
            context.close(promise: nil)
        }
    }

    /// The client took nothing for a while; one that is only slow is waited for.
    private func sendTimedOut() {
        guard let context else { return }
        if sendProgress.isMade(context) {
            expectSending(context)
        } else {
            context.close(promise: nil)
        }
    }

    private func expectSending(_ context: ChannelHandlerContext) {
        sendProgress.note(context)
        sendTimer?.set(milliseconds: options.sendMilliseconds)
    }

    // MARK: - Requests

    /// Told by `HeadGuard` of bytes before they are decoded.
    func bytesArrived(_ count: Int) {
        if isLingering {
            lingeredBytes += count
            if lingeredBytes > options.lingerBytesMaximum { context?.close(promise: nil) }
        } else if exchange == nil {
            if headBytes == 0 { receiveTimer?.set(milliseconds: options.headMilliseconds) }
            headBytes += count
        }
    }

    /// Told by `HeadGuard` after bytes were decoded: is there still no head?
    func bytesDecoded() {
        guard exchange == nil, headBytes > options.headBytesMaximum, !isLingering else { return }
        refuse(431, "the head of the request is longer than \(options.headBytesMaximum) bytes")
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isLingering { return }
        let part = unwrapInboundIn(data)
        if let exchange, exchange.isRequestWhole {
            if !isLastAnswer { queue.append(part) }
        } else {
            take(part, context)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) { readIfWanted() }

    private func take(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        switch part {
        // Behind what was refused there is no request.
        case .head(let head): if exchange == nil { begin(head, context) }
        case .body(let buffer):
            receiveTimer?.set(milliseconds: options.bodyMilliseconds)
            exchange?.pipe.push(buffer.readableBytesView)
        case .end:
            receiveTimer?.clear()
            exchange?.isRequestWhole = true
            exchange?.pipe.finish()
        }
    }

    private func begin(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        headBytes = 0
        receiveTimer?.clear()
        // Which of two a proxy in front has looked at nobody knows (RFC 9112, 3.2).
        guard head.headers["host"].count <= 1 else { return refuse(400, "more than one Host field") }
        let exchange = ListenerExchange(head: head)
        self.exchange = exchange
        // Behind CONNECT and Upgrade the decoder hands out no further request.
        let isUpgrade = head.method == .CONNECT || head.headers.contains(name: "upgrade")
        if !head.isKeepAlive || head.version != .http1_1 || isUpgrade { isLastAnswer = true }
        let loop = context.eventLoop
        let bound = NIOLoopBound(self, eventLoop: loop)
        let boundExchange = NIOLoopBound(exchange, eventLoop: loop)
        exchange.pipe.setDemand { loop.execute { bound.value.bodyWanted() } }
        let remote = context.remoteAddress
        let fields = head.headers.map { HTTPField($0.name, $0.value) }
        let length = head.headers.first(name: "content-length").flatMap { Int($0) }
        let isChunked = head.headers.contains(name: "transfer-encoding")
        let body = ListenerBody(announcedBytes: isChunked ? nil : length ?? 0, pipe: exchange.pipe)
        let request = ListenerRequest(
            method: head.method.rawValue, target: head.uri, fields: fields, remoteAddress: addressText(remote),
            isLoopback: isLoopback(remote), isSecure: options.tls != nil, peer: knownPeer(context), body: body,
            disconnection: exchange.disconnection)
        let writer = ListenerWriter(eventLoop: loop, connection: bound, exchange: boundExchange)
        exchange.task = Task { [handler] in
            let response = await handler(request)
            loop.execute { bound.value.answer(response, of: boundExchange.value) }
            do {
                switch response.body {
                case .bytes: return
                case .stream(let produce):
                    if request.method == "HEAD" { return }
                    try await produce(writer)
                case .webSocket(let produce):
                    try await produce(WebSocketWriter(eventLoop: loop, connection: bound))
                }
                loop.execute { bound.value.endStream(of: boundExchange.value, isWhole: true) }
            } catch {
                loop.execute { bound.value.endStream(of: boundExchange.value, isWhole: false) }
            }
        }
    }

    /// Who has proved itself in the handshake. Certificates of a foreign authority (`client_ca_file`) name no agents.
    private func knownPeer(_ context: ChannelHandlerContext) -> PeerCertificate? {
        guard !isPeerKnown, options.tls?.agentAuthorities != nil else { return peer }
        isPeerKnown = true
        let handler = try? context.pipeline.syncOperations.handler(type: NIOSSLServerHandler.self)
        peer = (try? handler?.peerCertificate?.toDERBytes()).flatMap { PeerCertificate(der: $0) }
        return peer
    }

    private func bodyWanted() {
        guard let exchange, !exchange.isRequestWhole, let context else { return }
        if exchange.mustInviteBody, exchange.answer == .awaited {
            exchange.mustInviteBody = false
            let head = HTTPResponseHead(version: .http1_1, status: .continue)
            context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
        }
        receiveTimer?.set(milliseconds: options.bodyMilliseconds)
        context.read()
    }

    private func readIfWanted() {
        guard let context else { return }
        if isLingering {
            context.read()
        } else if let exchange {
            if !exchange.isRequestWhole && exchange.pipe.wantsMore { context.read() }
        } else if !isLastAnswer {
            context.read()
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if case .handshakeFailed = error as? NIOSSLError {
            options.handshakeFailed(addressText(context.remoteAddress), ClientConnection.words(error))
        }
        guard let error = error as? HTTPParserError, !isLingering else {
            context.close(promise: nil)
            return
        }
        guard let exchange else {
            let isTooMuch = error == .headerOverflow
            let advice = isTooMuch ? "too many or too long header fields" : "this is not an HTTP/1.1 request"
            refuse(isTooMuch ? 431 : 400, "\(advice) (\(error))")
            return
        }
        // In a body: its reader learns of it and answers. Behind a whole request: it is answered, then the line is
        // cut.
        isLastAnswer = true
        if !exchange.isRequestWhole { exchange.pipe.fail(ListenerBodyFailure.malformed("\(error)")) }
    }

    /// Answers what is no request at all, and closes.
    private func refuse(_ status: Int, _ reason: String) {
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/")
        let exchange = ListenerExchange(head: head)
        self.exchange = exchange
        isLastAnswer = true
        headBytes = 0
        receiveTimer?.clear()
        answer(.text(status, reason), of: exchange)
    }
}

// MARK: - Answers

extension ListenerConnection {
    /// Writes the head of an answer, and its body where it is there already.
    fileprivate func answer(_ response: ListenerResponse, of exchange: ListenerExchange) {
        guard self.exchange === exchange, let context, exchange.answer == .awaited else { return }
        if case .webSocket = response.body { return switchToWebSocket(exchange, context) }
        if !exchange.isRequestWhole { isLastAnswer = true }
        var headers = HTTPHeaders(response.fields.map { ($0.name, $0.value) })
        let isBodiless = response.status == 204 || response.status == 304
        var fixed: [UInt8]?
        if case .bytes(let bytes) = response.body {
            fixed = bytes
            if !isBodiless { headers.replaceOrAdd(name: "Content-Length", value: String(bytes.count)) }
        }
        if isLastAnswer { headers.replaceOrAdd(name: "Connection", value: "close") }
        let status = HTTPResponseStatus(statusCode: response.status)
        let head = HTTPResponseHead(version: exchange.head.version, status: status, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        let hasBody = exchange.head.method != .HEAD && !isBodiless
        if let fixed {
            if hasBody && !fixed.isEmpty {
                context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: fixed)))), promise: nil)
            }
            writeEnd(exchange, context)
        } else if hasBody {
            exchange.answer = .streaming
            context.flush()
        } else {
            writeEnd(exchange, context)
        }
    }

    /// Writes a piece of a streamed answer; `pending` ends when there is room for the next.
    func writePiece(_ bytes: [UInt8], of exchange: ListenerExchange, _ pending: PendingWrite) {
        guard self.exchange === exchange, let context, exchange.answer == .streaming, context.channel.isActive else {
            pending.fail()
            return
        }
        context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: bytes)))), promise: nil)
        // Writing may find the client gone and end the exchange: nobody would end what is left there then.
        guard self.exchange === exchange else {
            pending.fail()
            return
        }
        if context.channel.isWritable || exchange.writer != nil {
            pending.succeed()
        } else {
            exchange.writer = pending
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            // The rest of a whole answer is still to be taken.
            if exchange?.answer == .ending { expectSending(context) } else { sendTimer?.clear() }
            exchange?.writer?.succeed()
            exchange?.writer = nil
        } else {
            expectSending(context)
        }
        context.fireChannelWritabilityChanged()
    }

    /// The answer to a handshake that is none.
    func refuseWebSocket(_ reason: String, of exchange: ListenerExchange) {
        let version = HTTPField("Sec-WebSocket-Version", "13")
        answer(.text(426, reason, fields: [version, HTTPField("Upgrade", "websocket")]), of: exchange)
    }

    /// The connection is a WebSocket from now on: all that is left here is to lead there.
    func become(_ webSocket: WebSocketConnection) {
        self.webSocket = webSocket
        exchange = nil
        receiveTimer?.clear()
        sendTimer?.clear()
    }

    /// Sends a message over the WebSocket that this connection became.
    func send(_ text: [UInt8], _ pending: PendingWrite) {
        guard let webSocket else { return pending.fail() }
        webSocket.send(text, pending)
    }

    fileprivate func endStream(of exchange: ListenerExchange, isWhole: Bool) {
        if let webSocket { return webSocket.close(isWhole ? .normalClosure : .unexpectedServerError) }
        guard self.exchange === exchange, let context, exchange.answer == .streaming else { return }
        if isWhole { writeEnd(exchange, context) } else { context.close(promise: nil) }
    }

    private func writeEnd(_ exchange: ListenerExchange, _ context: ChannelHandlerContext) {
        exchange.answer = .ending
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenSuccess { self.answerTaken(exchange) }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
        // Little enough to fit the buffers here leaves the channel writable: it is to be taken nevertheless.
        if self.exchange === exchange { expectSending(context) }
    }

    /// The socket has the whole answer: on to the next request, or to the close.
    private func answerTaken(_ exchange: ListenerExchange) {
        guard let context, self.exchange === exchange else { return }
        exchange.disconnection.forget()
        let wasWhole = exchange.isRequestWhole
        exchange.end()
        self.exchange = nil
        sendTimer?.clear()
        if isLastAnswer {
            close(context, isRequestWhole: wasWhole)
            return
        }
        receiveTimer?.set(milliseconds: options.idleMilliseconds)
        while self.exchange?.isRequestWhole != true, let part = queue.popFirst() { take(part, context) }
        if self.exchange == nil || self.exchange?.isRequestWhole == false { readIfWanted() }
    }

    /// Closes. With bytes of the request still under way a plain close would reset the connection and destroy the
    /// answer before the client has read it, so its side is waited for, for a moment.
    private func close(_ context: ChannelHandlerContext, isRequestWhole: Bool) {
        if isRequestWhole {
            context.close(promise: nil)
            return
        }
        isLingering = true
        queue.removeAll()
        receiveTimer?.set(milliseconds: options.lingerMilliseconds)
        if options.tls == nil { context.close(mode: .output, promise: nil) }
        context.read()
    }
}

private func addressText(_ address: SocketAddress?) -> String {
    guard let address else { return "unknown" }
    guard let ip = address.ipAddress, let port = address.port else { return "unix" }
    return ip.contains(":") ? "[\(ip)]:\(port)" : "\(ip):\(port)"
}

private func isLoopback(_ address: SocketAddress?) -> Bool {
    guard let address else { return false }
    guard let ip = address.ipAddress else { return true }
    return ip == "::1" || ip.hasPrefix("127.") || ip.hasPrefix("::ffff:127.")
}
