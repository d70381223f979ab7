internal import NIOCore
internal import NIOPosix
internal import Synchronization
internal import Wire

/// The status and fields of a reply, before its body.
struct ReplyHead: Sendable {
    var status: Int
    var fields: [HTTPField]
}

/// One call on its way, shared by the task that waits for the reply and the connection that brings it.
///
/// It ends once: whole, failed or cancelled; ending early closes the connection. Every deadline of the call is one
/// timer.
final class Exchange: Sendable {
    private struct State {
        var head: ReplyHead?
        var failure: HTTPFailure?
        var isComplete = false
        /// Nothing came back and the connection was taken from the pool: the peer may just have closed it.
        var isStaleConnection = false
        var waiters: [CheckedContinuation<Void, Never>] = []
        var channel: (any Channel)?
        var timer: Scheduled<Void>?
    }

    let call: HTTPCall
    let pipe = BodyPipe()
    private let state = Mutex(State())

    init(_ call: HTTPCall) {
        self.call = call
    }

    // MARK: - From the connection

    /// Binds the exchange to the connection that carries it; false when it has already ended.
    func attach(to channel: any Channel) -> Bool {
        state.withLock { state in
            guard state.failure == nil else { return false }
            state.channel = channel
            return true
        }
    }

    func receive(_ head: ReplyHead) {
        wake { state in
            state.head = head
            state.timer?.cancel()
            state.timer = nil
        }
    }

    func complete() {
        wake { state in
            state.isComplete = true
            state.timer?.cancel()
            state.timer = nil
            state.channel = nil
        }
        pipe.finish()
    }

    /// Ends the exchange, unless it has ended, and closes its connection.
    func fail(_ stage: HTTPFailure.Stage, _ reason: String, isStaleConnection: Bool = false) {
        let failure = HTTPFailure(stage, "\(call.endpoint): \(reason)")
        var channel: (any Channel)?
        let isFirst = state.withLock { state in
            guard state.failure == nil, !state.isComplete else { return false }
            state.failure = failure
            state.isStaleConnection = isStaleConnection && state.head == nil
            state.timer?.cancel()
            state.timer = nil
            channel = state.channel
            state.channel = nil
            return true
        }
        guard isFirst else { return }
        channel?.close(mode: .all, promise: nil)
        wake { _ in }
        pipe.fail(failure)
    }

    private func wake(_ change: (inout State) -> Void) {
        let waiters = state.withLock { state in
            change(&state)
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    // MARK: - From the caller

    /// Fails the exchange at `deadline` unless that was set anew or the awaited part of the reply has come.
    func setDeadline(_ deadline: NIODeadline, waitingFor part: String) {
        let timer = EventLoops.shared.next().scheduleTask(deadline: deadline) { [weak self] in
            guard let self else { return }
            fail(.timeout, "no \(part) within \(call.timeoutMilliseconds) ms")
        }
        let isUseless = state.withLock { state in
            if state.failure != nil || state.isComplete { return true }
            state.timer?.cancel()
            state.timer = timer
            return false
        }
        if isUseless { timer.cancel() }
    }

    var isStaleConnection: Bool { state.withLock { $0.isStaleConnection } }

    /// Waits for the head of the reply.
    func head() async throws(HTTPFailure) -> ReplyHead {
        while true {
            let (head, failure) = state.withLock { ($0.head, $0.failure) }
            if let head { return head }
            if let failure { throw failure }
            await withCheckedContinuation { continuation in
                let isWaiting = state.withLock { state in
                    if state.head != nil || state.failure != nil { return false }
                    state.waiters.append(continuation)
                    return true
                }
                if !isWaiting { continuation.resume() }
            }
        }
    }

    /// Waits for a piece of the body; nil at its end. Ends the exchange when the waiting task is cancelled.
    func next() async throws -> [UInt8]? {
        try await withTaskCancellationHandler {
            try await pipe.next()
        } onCancel: {
            fail(.cancelled, "the caller gave up")
        }
    }
}
