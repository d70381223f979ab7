internal import Synchronization
internal import Telemetry

/// Keeps the newest batches and wakes those who wait for the next one. Its memory does not depend on how many follow
/// or how slowly: a reader that falls behind what is kept is told what it missed.
final class TailHub: Sendable {
    private struct State {
        /// Rising by position; those before `first` are not kept any more, and nil.
        var batches: [TailBatch?] = []
        var first = 0
        var bytes = 0
        /// The position of the newest batch that came, whether it brought lines or not.
        var newest: UInt64 = 0
        /// Batches at or before this position are not kept any more.
        var forgotten: UInt64 = 0
        var waiting: [Int: CheckedContinuation<Void, Never>] = [:]
        var tickets = 0
        var isClosed = false

        /// The position of a batch that is kept.
        func position(_ index: Int) -> UInt64 { batches[index]?.position ?? 0 }
    }

    /// What a reader finds behind its position.
    enum Finding {
        case batches([TailBatch])
        /// Batches up to and including this position are gone.
        case behind(UInt64)
        case nothing
        case closed
    }

    private let bytesMaximum: Int
    private let state: Mutex<State>

    /// A hub that keeps about `bytesMaximum` bytes; batches up to `position` came before it existed.
    init(bytesMaximum: Int, startingBehind position: UInt64) {
        self.bytesMaximum = bytesMaximum
        state = Mutex(State(newest: position, forgotten: position))
    }

    /// The position of the newest batch.
    var newest: UInt64 { state.withLock { $0.newest } }

    /// The memory held.
    var bytes: Int { state.withLock { $0.bytes } }

    /// Adds a batch and wakes all readers. Called in log order.
    func publish(_ batch: TailBatch) {
        let waiting = state.withLock { state in
            state.newest = max(state.newest, batch.position)
            state.batches.append(batch)
            state.bytes += batch.bytes
            // The newest batch stays, however large it is.
            while state.bytes > bytesMaximum, state.first < state.batches.count - 1 {
                guard let oldest = state.batches[state.first] else { break }
                state.forgotten = oldest.position
                state.bytes -= oldest.bytes
                state.batches[state.first] = nil
                state.first += 1
            }
            if state.first > 64, state.first > state.batches.count / 2 {
                state.batches.removeFirst(state.first)
                state.first = 0
            }
            defer { state.waiting.removeAll() }
            return Array(state.waiting.values)
        }
        for continuation in waiting { continuation.resume() }
    }

    /// What lies behind `position`, at most `maximum` batches.
    func batches(after position: UInt64, maximum: Int) -> Finding {
        state.withLock { state in
            if position < state.forgotten { return .behind(state.forgotten) }
            var low = state.first
            var high = state.batches.count
            while low < high {
                let middle = (low + high) / 2
                if state.position(middle) <= position { low = middle + 1 } else { high = middle }
            }
            guard low < state.batches.count else { return state.isClosed ? .closed : .nothing }
            return .batches(state.batches[low...].prefix(maximum).compactMap { $0 })
        }
    }

    /// Waits until there may be something behind `position`, the hub closes or the task is cancelled.
    func wait(after position: UInt64) async {
        let ticket = state.withLock { state in
            state.tickets += 1
            return state.tickets
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    let last = state.batches.count - 1
                    let hasNews = last >= state.first && state.position(last) > position
                    if hasNews || state.isClosed || position < state.forgotten || Task.isCancelled { return true }
                    state.waiting[ticket] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiting.removeValue(forKey: ticket) }?.resume()
        }
    }

    /// Ends every tail once it has read what is kept.
    func close() {
        let waiting = state.withLock { state in
            state.isClosed = true
            defer { state.waiting.removeAll() }
            return Array(state.waiting.values)
        }
        for continuation in waiting { continuation.resume() }
    }
}
