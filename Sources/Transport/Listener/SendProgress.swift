internal import NIOCore

/// Whether a client takes what it is sent: one that takes nothing for a while is cut, one that is only slow is waited
/// for.
struct SendProgress {
    private var unsentBytes = 0

    /// Remembers how much waits to be sent.
    mutating func note(_ context: ChannelHandlerContext) { unsentBytes = Self.unsentBytes(context) }

    /// Whether the client took something since.
    func isMade(_ context: ChannelHandlerContext) -> Bool { Self.unsentBytes(context) < unsentBytes }

    private static func unsentBytes(_ context: ChannelHandlerContext) -> Int {
        (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }
}
