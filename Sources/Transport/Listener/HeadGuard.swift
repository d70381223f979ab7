internal import NIOCore

/// Stands before the HTTP decoder and counts bytes, because the decoder says nothing until a head is whole: a client
/// that sends a head byte by byte, or one without end, is noticed here.
final class HeadGuard: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let connection: ListenerConnection

    init(connection: ListenerConnection) {
        self.connection = connection
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        connection.bytesArrived(unwrapInboundIn(data).readableBytes)
        context.fireChannelRead(data)
        connection.bytesDecoded()
    }
}
