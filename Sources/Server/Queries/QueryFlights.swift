internal import Synchronization

/// Queries that ask for the same at the same time share one evaluation and its answer, as when a dashboard is opened on
/// many screens. Nothing is kept: who comes after the answer asks anew.
final class QueryFlights<Answer: Sendable>: Sendable {
    /// Ends an evaluation that nobody waits for any more.
    typealias Cancellation = @Sendable () -> Void
    /// Begins an evaluation, which calls what it is given once, on any thread.
    typealias Beginning = @Sendable (@escaping @Sendable (Result<Answer, any Error>) -> Void) -> Cancellation

    private struct Flight {
        var number: UInt64
        /// Ends the evaluation; nil until it was begun.
        var cancel: Cancellation?
        var waiters: [UInt64: CheckedContinuation<Answer, any Error>]
    }

    private struct State {
        var flights: [String: Flight] = [:]
        var nextNumber: UInt64 = 0
        var shared: UInt64 = 0

        mutating func number() -> UInt64 {
            nextNumber += 1
            return nextNumber
        }
    }

    private let state = Mutex(State())

    /// How many answers were another's.
    var sharedCount: UInt64 { state.withLock { $0.shared } }

    /// How many wait for the answer to `key` now.
    func waiters(of key: String) -> Int { state.withLock { $0.flights[key]?.waiters.count ?? 0 } }

    /// The answer to `key`: that of the evaluation under way, or of one that `begin` begins where there is none. Throws
    /// `CancellationError` when the calling task is cancelled; the evaluation is when nobody waits for it any more.
    func answer(_ key: String, _ begin: Beginning) async throws -> Answer {
        let waiter = state.withLock { $0.number() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                enter(key, waiter, continuation, begin)
                // Cancelled before it was entered: the handler found nothing to remove then.
                if Task.isCancelled { leave(key, waiter) }
            }
        } onCancel: {
            leave(key, waiter)
        }
    }

    private func enter(
        _ key: String, _ waiter: UInt64, _ continuation: CheckedContinuation<Answer, any Error>, _ begin: Beginning
    ) {
        let number = state.withLock { state -> UInt64? in
            if state.flights[key] != nil {
                state.flights[key]?.waiters[waiter] = continuation
                state.shared += 1
                return nil
            }
            let number = state.number()
            state.flights[key] = Flight(number: number, waiters: [waiter: continuation])
            return number
        }
        guard let number else { return }
        let cancel = begin { [self] in finish(key, number, $0) }
        let isAbandoned = state.withLock { state in
            // Over already, or everybody has left, and another one may have followed.
            guard state.flights[key]?.number == number else { return true }
            state.flights[key]?.cancel = cancel
            return false
        }
        if isAbandoned { cancel() }
    }

    private func finish(_ key: String, _ number: UInt64, _ result: Result<Answer, any Error>) {
        let flight = state.withLock { state -> Flight? in
            // One that everybody left may have been followed by another.
            guard state.flights[key]?.number == number else { return nil }
            return state.flights.removeValue(forKey: key)
        }
        for continuation in (flight?.waiters ?? [:]).values { continuation.resume(with: result) }
    }

    private func leave(_ key: String, _ waiter: UInt64) {
        let (continuation, abandoned) = state.withLock { state -> (CheckedContinuation<Answer, any Error>?, Flight?) in
            guard let continuation = state.flights[key]?.waiters.removeValue(forKey: waiter) else { return (nil, nil) }
            let isAbandoned = state.flights[key]?.waiters.isEmpty == true
            return (continuation, isAbandoned ? state.flights.removeValue(forKey: key) : nil)
        }
        abandoned?.cancel?()
        continuation?.resume(throwing: CancellationError())
    }
}
