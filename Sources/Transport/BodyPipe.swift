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
        /// The reader wants nothing before the end, or more bytes than this; 0 when it takes what comes.
        var gathersBytes = 0
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
            state.isAskedFor && !state.isFinished && state.failure == nil
                && state.bytes.count <= max(BodyPipe.bytesMaximum - 1, state.gathersBytes)
        }
    }

    /// Adds bytes; dropped when the pipe has ended.
    func push(_ bytes: some Collection<UInt8>) {
        wake { state in
            guard !state.isFinished, state.failure == nil else { return false }
            state.bytes.append(contentsOf: bytes)
            return state.bytes.count > state.gathersBytes
        }
    }

    /// The proper end of the body.
    func finish() {
        wake { state in
            state.isFinished = true
            state.onDemand = nil
            return true
        }
    }

    /// An end before the end; the first one counts. The reader gets what was received before it learns of it.
    func fail(_ error: any Error) {
        wake { state in
            guard !state.isFinished, state.failure == nil else { return false }
            state.failure = error
            state.onDemand = nil
            return true
        }
    }

    /// Wakes the reader when `change` says so.
    private func wake(_ change: (inout State) -> Bool) {
        let waiters = state.withLock { state in
            guard change(&state) else { return [CheckedContinuation<Void, Never>]() }
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// The whole body, or what has come of it once that is more than `bytesMaximum`: the reader is woken once, not for
    /// every piece that the socket gives.
    func gather(upTo bytesMaximum: Int, announced: Int) async throws -> [UInt8] {
        state.withLock { state in
            state.gathersBytes = bytesMaximum
            state.bytes.reserveCapacity(min(announced, bytesMaximum))
        }
        return try await next() ?? []
    }

    /// Everything received and not yet taken, at least one byte; nil at the end. One reader at a time.
    func next() async throws -> [UInt8]? {
        while true {
            if let piece = try take() { return piece.isEmpty ? nil : piece }
            await withCheckedContinuation { continuation in
                let (isWaiting, demand) = state.withLock { state -> (Bool, (@Sendable () -> Void)?) in
                    if state.bytes.count > state.gathersBytes || state.isFinished || state.failure != nil {
                        return (false, nil)
                    }
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
            if state.gathersBytes > 0, state.bytes.count <= state.gathersBytes, !state.isFinished {
                if let failure = state.failure { throw failure }
                return (nil, nil)
            }
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
