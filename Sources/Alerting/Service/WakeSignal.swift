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

/// Wakes those who wait for something under a name, for example agents that wait for commands: one among ten thousand,
/// without the others.
final class NamedWake: Sendable {
    private struct Waiter {
        var id: UInt64
        var continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var nextWaiter: UInt64 = 0
        var waiting: [String: [Waiter]] = [:]
        /// Rises with each signal of a name that somebody attends to; forgotten with the last of them.
        var generations: [String: UInt64] = [:]
        var attendants: [String: Int] = [:]
    }

    private let state = Mutex(State())

    /// How many wait now.
    var count: Int { state.withLock { $0.waiting.values.reduce(0) { $0 + $1.count } } }

    /// From now on signals of `name` are noted; end it with `leave`.
    func attend(_ name: String) { state.withLock { $0.attendants[name, default: 0] += 1 } }

    /// The end of `attend`.
    func leave(_ name: String) {
        state.withLock { state in
            let left = (state.attendants[name] ?? 1) - 1
            state.attendants[name] = left > 0 ? left : nil
            if left <= 0 { state.generations[name] = nil }
        }
    }

    /// Rises with each signal of `name`: taken before looking, handed to `wait`, so that no signal in between is
    /// missed.
    func generation(of name: String) -> UInt64 { state.withLock { $0.generations[name] ?? 0 } }

    /// Wakes who waits for one of `names`.
    func signal(_ names: some Sequence<String>) {
        let waiting = state.withLock { state in
            names.flatMap { name -> [Waiter] in
                guard state.attendants[name] != nil else { return [] }
                state.generations[name, default: 0] += 1
                return state.waiting.removeValue(forKey: name) ?? []
            }
        }
        for waiter in waiting { waiter.continuation.resume() }
    }

    /// Returns at a signal of `name` later than `generation`, after `milliseconds`, or when the task is cancelled.
    func wait(for name: String, after generation: UInt64, milliseconds: Int64) async {
        guard milliseconds > 0 else { return }
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        var timer: Task<Void, Never>?
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isPast = state.withLock { state -> Bool in
                    guard state.generations[name] ?? 0 == generation, !Task.isCancelled else { return true }
                    state.waiting[name, default: []].append(Waiter(id: id, continuation: continuation))
                    return false
                }
                if isPast { return continuation.resume() }
                // Only now: a timer that ran out before the waiter is listed would wake nobody.
                timer = Task {
                    do {
                        try await Task.sleep(for: .milliseconds(milliseconds))
                        release(name, id)
                    } catch {}
                }
            }
        } onCancel: {
            release(name, id)
        }
        timer?.cancel()
    }

    private func release(_ name: String, _ id: UInt64) {
        let waiter = state.withLock { state -> Waiter? in
            guard let index = state.waiting[name]?.firstIndex(where: { $0.id == id }) else { return nil }
            let waiter = state.waiting[name]?.remove(at: index)
            if state.waiting[name]?.isEmpty == true { state.waiting[name] = nil }
            return waiter
        }
        waiter?.continuation.resume()
    }
}
