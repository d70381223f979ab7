internal import Synchronization

/// One wait of a streamed answer's writer. It ends exactly once whatever becomes of its connection: let go of without
/// an end (an event loop that takes no more work, an exchange that was replaced), it ends as a failure.
final class PendingWrite: Sendable {
    private let continuation: Mutex<CheckedContinuation<Void, any Error>?>

    /// The wait of the task behind `continuation`.
    init(_ continuation: CheckedContinuation<Void, any Error>) {
        self.continuation = Mutex(continuation)
    }

    deinit {
        fail()
    }

    /// There is room for the next piece.
    func succeed() { take()?.resume() }

    /// The client has gone.
    func fail() { take()?.resume(throwing: ListenerDisconnected()) }

    private func take() -> CheckedContinuation<Void, any Error>? {
        continuation.withLock { continuation in
            defer { continuation = nil }
            return continuation
        }
    }
}
