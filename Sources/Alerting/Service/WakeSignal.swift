internal import Synchronization

/// Wakes a loop that waits for work or for a time. A signal given while nobody waits is kept for the next wait.
final class WakeSignal: Sendable {
    private struct State {
        var isSet = false
        var waiting: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    /// Wakes the waiting loop, or lets the next wait return at once.
    func signal() {
        let waiting = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard let waiting = state.waiting else {
                state.isSet = true
                return nil
            }
            state.waiting = nil
            return waiting
        }
        waiting?.resume()
    }

    /// Returns at a signal, after `milliseconds`, or when the task is cancelled. For one waiter at a time.
    func wait(milliseconds: Int64) async {
        guard milliseconds > 0 else { return await Task.yield() }
        let timer = Task {
            do {
                try await Task.sleep(for: .milliseconds(milliseconds))
                signal()
            } catch {}
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isSet = state.withLock { state -> Bool in
                    guard !state.isSet else {
                        state.isSet = false
                        return true
                    }
                    state.waiting = continuation
                    return false
                }
                if isSet { continuation.resume() }
            }
        } onCancel: {
            signal()
        }
        timer.cancel()
    }
}

/// Wakes everybody who waits, for example agents that wait for commands.
final class WakeBroadcast: Sendable {
    private struct State {
        var nextWaiter: UInt64 = 0
        var waiting: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var generation: UInt64 = 0
    }

    private let state = Mutex(State())

    /// Rises with each signal: taken before looking, handed to `wait`, so that no signal in between is missed.
    var generation: UInt64 { state.withLock { $0.generation } }

    /// Wakes all.
    func signal() {
        let waiting = state.withLock { state in
            defer { state.waiting.removeAll() }
            state.generation += 1
            return Array(state.waiting.values)
        }
        for continuation in waiting { continuation.resume() }
    }

    /// Returns at a signal later than `generation`, after `milliseconds`, or when the task is cancelled.
    func wait(after generation: UInt64, milliseconds: Int64) async {
        guard milliseconds > 0 else { return }
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        var timer: Task<Void, Never>?
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isPast = state.withLock { state -> Bool in
                    guard state.generation == generation, !Task.isCancelled else { return true }
                    state.waiting[id] = continuation
                    return false
                }
                if isPast { return continuation.resume() }
                // Only now: a timer that ran out before the waiter is listed would wake nobody.
                timer = Task {
                    do {
                        try await Task.sleep(for: .milliseconds(milliseconds))
                        release(id)
                    } catch {}
                }
            }
        } onCancel: {
            release(id)
        }
        timer?.cancel()
    }

    private func release(_ id: UInt64) {
        state.withLock { $0.waiting.removeValue(forKey: id) }?.resume()
    }
}
