internal import NIOCore

/// The client went away while its answer was being written.
package struct ListenerDisconnected: Error, CustomStringConvertible {
    package var description: String { "the client closed the connection" }
}

/// Writes the body of a streamed answer. Used by one task at a time.
package struct ListenerWriter: Sendable {
    private let eventLoop: any EventLoop
    private let connection: NIOLoopBound<ListenerConnection>

    init(eventLoop: any EventLoop, connection: NIOLoopBound<ListenerConnection>) {
        self.eventLoop = eventLoop
        self.connection = connection
    }

    /// Sends bytes and waits until the client has taken most of what was sent before. Throws `ListenerDisconnected`.
    package func write(_ bytes: [UInt8]) async throws {
        guard !bytes.isEmpty else { return }
        try await withCheckedThrowingContinuation { continuation in
            eventLoop.execute { connection.value.writePiece(bytes, continuation) }
        }
    }
}
