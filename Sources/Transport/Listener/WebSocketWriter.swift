internal import NIOCore

/// Sends messages to a client over a WebSocket. Used by one task at a time.
package struct WebSocketWriter: Sendable {
    private let eventLoop: any EventLoop
    private let connection: NIOLoopBound<ListenerConnection>

    init(eventLoop: any EventLoop, connection: NIOLoopBound<ListenerConnection>) {
        self.eventLoop = eventLoop
        self.connection = connection
    }

    /// Sends one message of text, which must be UTF-8, and waits until the client has taken most of what was sent
    /// before. Throws `ListenerDisconnected`.
    package func send(_ text: [UInt8]) async throws {
        try await withCheckedThrowingContinuation { continuation in
            let pending = PendingWrite(continuation)
            eventLoop.execute { connection.value.send(text, pending) }
        }
    }
}
