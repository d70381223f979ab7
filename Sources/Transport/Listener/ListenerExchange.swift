internal import NIOHTTP1

/// Where one request and its answer are. Used on the connection's event loop.
final class ListenerExchange {
    /// How far the answer has come.
    enum Answer {
        case awaited
        case streaming
        /// Handed to the socket, not all of it taken.
        case ending
    }

    let head: HTTPRequestHead
    let pipe: BodyPipe
    let disconnection: Disconnection
    var task: Task<Void, Never>?
    var answer = Answer.awaited
    var isRequestWhole = false
    /// The client waits for a word before it sends the body.
    var mustInviteBody: Bool
    /// The writer of a streamed answer, waiting for the client.
    var writer: PendingWrite?
    /// What the answer holds until the client has taken it.
    var kept: (any AnyObject & Sendable)?

    init(head: HTTPRequestHead) {
        self.head = head
        pipe = BodyPipe()
        disconnection = Disconnection()
        mustInviteBody =
            head.version == .http1_1 && head.headers["expect"].contains { $0.lowercased() == "100-continue" }
    }

    /// The client has gone, or has all it gets: whoever still reads or writes learns of it.
    func end() {
        pipe.fail(ListenerBodyFailure.disconnected)
        writer?.fail()
        writer = nil
        kept = nil
    }
}
