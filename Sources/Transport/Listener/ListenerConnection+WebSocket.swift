internal import NIOCore
internal import NIOHTTP1
internal import NIOWebSocket

/// Leaving HTTP for a WebSocket.
extension ListenerConnection {
    /// Answers the client's wish to switch, and hands the connection over; a wish that is no proper one is refused.
    func switchToWebSocket(_ exchange: ListenerExchange, _ context: ChannelHandlerContext) {
        let upgrader = NIOWebSocketServerUpgrader(
            automaticErrorHandling: false,
            shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture(HTTPHeaders()) },
            upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededVoidFuture() })
        let headers = upgrader.buildUpgradeResponse(
            channel: context.channel, upgradeRequest: exchange.head, initialResponseHeaders: HTTPHeaders())
        let bound = NIOLoopBound((self, exchange, context), eventLoop: context.eventLoop)
        headers.whenComplete { result in
            let (connection, exchange, context) = bound.value
            switch result {
            case .success(var headers):
                headers.replaceOrAdd(name: "Connection", value: "Upgrade")
                connection.handOver(exchange, headers, context)
            case .failure:
                connection.refuseWebSocket(
                    "this is no WebSocket handshake of version 13 (RFC 6455): Sec-WebSocket-Version or "
                        + "Sec-WebSocket-Key is missing or wrong", of: exchange)
            }
        }
    }

    private func handOver(_ exchange: ListenerExchange, _ headers: HTTPHeaders, _ context: ChannelHandlerContext) {
        let pipeline = context.pipeline.syncOperations
        let head = HTTPResponseHead(version: .http1_1, status: .switchingProtocols, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        // Writing may find the client gone: everything was ended then.
        guard context.channel.isActive else { return }
        let webSocket = WebSocketConnection(options: options, exchange: exchange)
        do {
            let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
            for handler: any RemovableChannelHandler in [
                try pipeline.handler(type: HTTPResponseEncoder.self),
                try pipeline.handler(type: NIOHTTPResponseHeadersValidator.self),
                try pipeline.handler(type: HeadGuard.self),
            ] {
                pipeline.removeHandler(handler, promise: nil)
            }
            try pipeline.addHandler(WebSocketFrameEncoder())
            try pipeline.addHandler(
                ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: WebSocketConnection.frameBytesMaximum)))
            try pipeline.addHandler(webSocket)
            become(webSocket)
            pipeline.removeHandler(self, promise: nil)
            let bound = NIOLoopBound(webSocket, eventLoop: context.eventLoop)
            // The decoder of requests leaves a turn of the loop later; bytes are only read when it is gone.
            pipeline.removeHandler(decoder).whenComplete { _ in bound.value.start() }
        } catch {
            context.close(promise: nil)
        }
    }
}
