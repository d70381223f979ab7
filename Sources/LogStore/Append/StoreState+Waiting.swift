internal import Synchronization
internal import Telemetry

/// Senders that wait a moment because memory is fuller than it should be: what they have sent goes on taking memory,
/// but they send nothing more meanwhile. The housekeeping lets them go on when there is room, and after every round.
struct WaitingSenders: Sendable {
    /// One that waits.
    typealias Continuation = CheckedContinuation<Void, Never>

    private var continuations: [Continuation] = []
    private var bytes = 0

    /// Takes one whose batch has `bytes` bytes; false when those who wait hold `maximum` already.
    mutating func add(_ continuation: Continuation, bytes: Int, maximum: Int) -> Bool {
        guard self.bytes + bytes <= maximum else { return false }
        continuations.append(continuation)
        self.bytes += bytes
        return true
    }

    /// Hands all of them out.
    mutating func takeAll() -> [Continuation] {
        defer { self = WaitingSenders() }
        return continuations
    }
}

extension StoreState {
    /// Whether lines in memory are more than they should be, and the housekeeping can do something about it.
    var isCrowded: Bool {
        headBytes + reservedBytes > options.headBytesWaiting
            && (hasFullBlock || isEncoding || headBytes >= options.sealBytes)
    }
}

extension LogDatabase {
    /// Lets a sender wait while memory is crowded, a round of housekeeping at most.
    func waitForRoom(bytes: Int) async {
        guard let maintenance, state.withLock({ $0.isCrowded && !$0.isClosed }) else { return }
        maintenance.wake()
        await withCheckedContinuation { continuation in
            let isWaiting = state.withLock { state in
                guard state.isCrowded, !state.isClosed else { return false }
                return state.waiting.add(continuation, bytes: bytes, maximum: options.headBytesWaiting / 4)
            }
            if !isWaiting { continuation.resume() }
        }
    }

    /// Lets senders go on: all of them, or only if there is room.
    func admitWaiting(ifRoom: Bool = false) {
        let waiting = state.withLock { state in
            ifRoom && state.isCrowded ? [] : state.waiting.takeAll()
        }
        for continuation in waiting { continuation.resume() }
    }
}
