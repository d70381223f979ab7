internal import Synchronization

/// Carries one body from an event loop to one reader, with back-pressure: the loop asks `wantsMore` before it reads
/// from the socket, and is called back through `onDemand` when the reader has emptied the pipe.
final class BodyPipe: Sendable {
    private struct State {
        var bytes: [UInt8] = []
        var isFinished = false
        var failure: (any Error)?
        /// Whether the reader ever asked: a body nobody asks for is not read from the socket.
        var isAskedFor = false
        var onDemand: (@Sendable () -> Void)?
        /// One as a rule; whoever reads at the same time waits as well rather than being forgotten.
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    /// What may lie in the pipe before the socket is left alone.
    static let bytesMaximum = 256 << 10

    private let state = Mutex(State())

    /// Sets what is called, on the reader's thread, when more bytes are wanted.
    func setDemand(_ action: @escaping @Sendable () -> Void) { state.withLock { $0.onDemand = action } }

    /// Whether the reader wants more than what is there.
    var wantsMore: Bool {
        state.withLock { state in
            state.isAskedFor && !state.isFinished && state.failure == nil && state.bytes.count < BodyPipe.bytesMaximum
        }
    }

    /// Adds bytes; dropped when the pipe has ended.
    func push(_ bytes: some Collection<UInt8>) {
        wake { state in
            guard !state.isFinished, state.failure == nil else { return }
            state.bytes.append(contentsOf: bytes)
        }
    }

    /// The proper end of the body.
    func finish() {
        wake { state in
            state.isFinished = true
            state.onDemand = nil
        }
    }

    /// An end before the end; the first one counts. The reader gets what was received before it learns of it.
    func fail(_ error: any Error) {
        wake { state in
            guard !state.isFinished, state.failure == nil else { return }
            state.failure = error
            state.onDemand = nil
        }
    }

    private func wake(_ change: (inout State) -> Void) {
        let waiters = state.withLock { state in
            change(&state)
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Everything received and not yet taken, at least one byte; nil at the end. One reader at a time.
    func next() async throws -> [UInt8]? {
        while true {
            if let piece = try take() { return piece.isEmpty ? nil : piece }
            await withCheckedContinuation { continuation in
                let (isWaiting, demand) = state.withLock { state -> (Bool, (@Sendable () -> Void)?) in
                    if !state.bytes.isEmpty || state.isFinished || state.failure != nil { return (false, nil) }
                    state.isAskedFor = true
                    state.waiters.append(continuation)
                    return (true, state.onDemand)
                }
                if isWaiting { demand?() } else { continuation.resume() }
            }
        }
    }

    /// Bytes, an empty array for the end, nil for "wait".
    private func take() throws -> [UInt8]? {
        let (result, demand) = try state.withLock { state -> ([UInt8]?, (@Sendable () -> Void)?) in
            guard !state.bytes.isEmpty else {
                if let failure = state.failure { throw failure }
                return (state.isFinished ? [] : nil, nil)
            }
            let wasFull = state.bytes.count >= BodyPipe.bytesMaximum
            var taken: [UInt8] = []
            swap(&taken, &state.bytes)
            return (taken, wasFull ? state.onDemand : nil)
        }
        demand?()
        return result
    }
}
