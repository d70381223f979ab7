internal import NIOCore

/// The client went away while its answer was being written.
package struct ListenerDisconnected: Error, CustomStringConvertible {
    package var description: String { "the client closed the connection" }
}

/// Writes the body of a streamed answer. Used by one task at a time.
package struct ListenerWriter: Sendable {
    private let eventLoop: any EventLoop
    private let connection: NIOLoopBound<ListenerConnection>
    /// What is written belongs to this answer: a writer that outlives it must not write into the next one.
    private let exchange: NIOLoopBound<ListenerExchange>

    init(
        eventLoop: any EventLoop, connection: NIOLoopBound<ListenerConnection>,
        exchange: NIOLoopBound<ListenerExchange>
    ) {
        self.eventLoop = eventLoop
        self.connection = connection
        self.exchange = exchange
    }

    /// Sends bytes and waits until the client has taken most of what was sent before. Throws `ListenerDisconnected`.
    package func write(_ bytes: [UInt8]) async throws {
        guard !bytes.isEmpty else { return }
        try await withCheckedThrowingContinuation { continuation in
            let pending = PendingWrite(continuation)
            eventLoop.execute { connection.value.writePiece(bytes, of: exchange.value, pending) }
        }
    }
}

extension ListenerResponse.Body {
    /// Writes what is made piece by piece; whether it came to its end.
    func produce(
        on eventLoop: any EventLoop, _ connection: NIOLoopBound<ListenerConnection>,
        _ exchange: NIOLoopBound<ListenerExchange>
    ) async -> Bool {
        do {
            switch self {
            case .bytes: return true
            case .stream(let produce):
                try await produce(ListenerWriter(eventLoop: eventLoop, connection: connection, exchange: exchange))
            case .webSocket(let produce):
                try await produce(WebSocketWriter(eventLoop: eventLoop, connection: connection))
            }
            return true
        } catch {
            return false
        }
    }
}
