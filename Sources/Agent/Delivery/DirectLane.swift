internal import Synchronization
internal import Telemetry
internal import Wire

/// What the disk does not take and the server may: samples and events go there from memory, as many as fit. Losing them
/// because a disk is full that nobody asked for would be the spool's own fault. Thread-safe.
///
/// These batches have an epoch of their own: after a crash nobody knows how far it was counted.
final class DirectLane: Sendable {
    /// A batch in memory.
    struct Item: Sendable {
        var id: UInt64
        var queue: DeliveryQueue
        var signal: AgentBatch.Signal
        var bytes: Int
    }

    private struct State {
        var items: [Item] = []
        var bytes = 0
        var lastID: UInt64 = 0
        /// The item that is being sent; it keeps its sequence, so it may not be dropped.
        var sending: UInt64?
        var waiter: CheckedContinuation<Item?, Never>?
        var isClosed = false
        var epoch: UInt64 = 0
        var sent: UInt64 = 0

        /// What is given up first: the oldest samples, then the oldest events.
        var victim: Int? {
            let isFree = { [sending] (item: Item) in item.id != sending }
            return items.firstIndex { $0.queue == .samples && isFree($0) } ?? items.firstIndex(where: isFree)
        }
    }

    private let state = Mutex(State())

    /// A minute of a large host.
    static let bytesMaximum = 8 << 20

    /// An empty lane.
    init() {}

    /// The epoch of what is sent: above those of the spool.
    var epoch: UInt64 {
        get { state.withLock { $0.epoch } }
        set { state.withLock { $0.epoch = newValue } }
    }

    /// How many batches the server has taken from memory.
    var sentBatches: UInt64 { state.withLock { $0.sent } }

    /// Takes a batch; returns how many older ones were given up for it.
    func add(_ queue: DeliveryQueue, _ signal: AgentBatch.Signal, bytes: Int) -> Int {
        var dropped = 0
        let waiter: CheckedContinuation<Item?, Never>? = state.withLock { state in
            state.lastID += 1
            state.items.append(Item(id: state.lastID, queue: queue, signal: signal, bytes: bytes))
            state.bytes += bytes
            while state.bytes > Self.bytesMaximum, let victim = state.victim {
                state.bytes -= state.items.remove(at: victim).bytes
                dropped += 1
            }
            guard let waiter = state.waiter, let first = state.items.first else { return nil }
            state.waiter = nil
            state.sending = first.id
            return waiter
        }
        // Only the waiter takes from the front, so the front is still what was marked.
        waiter?.resume(returning: state.withLock { $0.items.first })
        return dropped
    }

    /// The oldest batch, as soon as there is one; nil when the lane is closed or the task is cancelled.
    func next() async -> Item? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer: Item?? = state.withLock { state in
                    if state.isClosed || Task.isCancelled { return .some(nil) }
                    if let first = state.items.first {
                        state.sending = first.id
                        return first
                    }
                    state.waiter = continuation
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            release { _ in }
        }
    }

    /// A batch is stored, or can never be.
    func done(_ item: Item, isStored: Bool) {
        state.withLock { state in
            state.sending = nil
            if isStored { state.sent += 1 }
            guard let index = state.items.firstIndex(where: { $0.id == item.id }) else { return }
            state.bytes -= state.items.remove(at: index).bytes
        }
    }

    /// Ends the waiting.
    func close() { release { $0.isClosed = true } }

    private func release(_ change: (inout State) -> Void) {
        let waiter = state.withLock { state in
            change(&state)
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: nil)
    }
}
