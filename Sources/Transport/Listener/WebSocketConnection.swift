internal import NIOCore
internal import NIOHTTP1
internal import NIOWebSocket

/// One client that follows something over a WebSocket (RFC 6455): messages go out at its pace, of what it sends only
/// pings, pongs and the close are heard. Used on its event loop.
///
/// No extension is negotiated. A client that says nothing is asked with a ping and, when it stays silent, cut; so
/// is one that takes nothing. What is no proper frame ends the connection with the code that says why.
final class WebSocketConnection: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    /// Clients have nothing long to say here.
    static let frameBytesMaximum = 1 << 14

    private let options: HTTPListener.Options
    private let exchange: ListenerExchange
    private var context: ChannelHandlerContext?
    private var writer: PendingWrite?
    private var isCloseSent = false
    private var isPingUnanswered = false
    private var silenceTimer: DeadlineTimer?
    private var sendTimer: DeadlineTimer?
    /// Since the send timer was set.
    private var sendProgress = SendProgress()

    init(options: HTTPListener.Options, exchange: ListenerExchange) {
        self.options = options
        self.exchange = exchange
    }

    // MARK: - The life of the connection

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        silenceTimer = DeadlineTimer(on: context.eventLoop) { [unowned self] in silenceEnded() }
        sendTimer = DeadlineTimer(on: context.eventLoop) { [unowned self] in sendTimedOut() }
        silenceTimer?.set(milliseconds: options.pingMilliseconds)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        endExchange()
        silenceTimer?.cancel()
        sendTimer?.cancel()
        silenceTimer = nil
        sendTimer = nil
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        silenceTimer?.cancel()
        sendTimer?.cancel()
        endExchange()
    }

    /// Whoever writes learns that nobody reads any more.
    private func endExchange() {
        exchange.end()
        exchange.task?.cancel()
        exchange.disconnection.happen()
        writer?.fail()
        writer = nil
    }

    private func silenceEnded() {
        guard let context else { return }
        if isPingUnanswered || isCloseSent {
            context.close(promise: nil)
            return
        }
        isPingUnanswered = true
        write(.ping, ByteBuffer())
        silenceTimer?.set(milliseconds: options.pingMilliseconds)
    }

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

    // MARK: - What the client sends

    /// Begins to listen to the client.
    func start() { context?.read() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        isPingUnanswered = false
        silenceTimer?.set(milliseconds: options.pingMilliseconds)
        // RFC 6455, 5.1 and 5.2: clients mask, and reserved bits belong to extensions.
        guard frame.maskKey != nil, !frame.rsv1, !frame.rsv2, !frame.rsv3 else {
            close(.protocolError)
            return
        }
        switch frame.opcode {
        case .ping: if !isCloseSent { write(.pong, frame.unmaskedData) }
        case .connectionClose: closeReceived(frame, context)
        case .pong, .text, .binary, .continuation: break
        default: close(.protocolError)
        }
    }

    private func closeReceived(_ frame: WebSocketFrame, _ context: ChannelHandlerContext) {
        endExchange()
        if isCloseSent {
            context.close(promise: nil)
            return
        }
        isCloseSent = true
        // The code comes back to who sent it.
        var data = frame.unmaskedData
        let code = data.readSlice(length: min(2, data.readableBytes)) ?? ByteBuffer()
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
        let answer = WebSocketFrame(fin: true, opcode: .connectionClose, data: code)
        context.writeAndFlush(wrapOutboundOut(answer), promise: written)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // Who sends pings and takes no pongs is not read any further.
        if context.channel.isWritable { context.read() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error as? NIOWebSocketError {
        case nil: context.close(promise: nil)
        case .invalidFrameLength: close(.messageTooLarge)
        default: close(.protocolError)
        }
    }

    // MARK: - What is sent

    /// Sends a text; `pending` ends when there is room for the next.
    func send(_ text: [UInt8], _ pending: PendingWrite) {
        guard let context, context.channel.isActive, !isCloseSent, writer == nil else {
            pending.fail()
            return
        }
        write(.text, ByteBuffer(bytes: text))
        // Writing may find the client gone.
        guard context.channel.isActive else {
            pending.fail()
            return
        }
        if context.channel.isWritable { pending.succeed() } else { writer = pending }
    }

    private func write(_ opcode: WebSocketOpcode, _ data: ByteBuffer) {
        guard let context else { return }
        context.writeAndFlush(
            wrapOutboundOut(WebSocketFrame(fin: true, opcode: opcode, data: data)), promise: nil)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            sendTimer?.clear()
            writer?.succeed()
            writer = nil
            context.read()
        } else {
            expectSending(context)
        }
        context.fireChannelWritabilityChanged()
    }

    /// Says good-bye and gives the client a moment to answer.
    func close(_ code: WebSocketErrorCode) {
        guard let context, !isCloseSent else { return }
        isCloseSent = true
        endExchange()
        var data = context.channel.allocator.buffer(capacity: 2)
        data.write(webSocketErrorCode: code)
        write(.connectionClose, data)
        silenceTimer?.set(milliseconds: options.lingerMilliseconds)
    }
}
