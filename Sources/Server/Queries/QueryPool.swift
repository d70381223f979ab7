internal import Synchronization

/// A bounded number of threads for work that reads disk or computes long, with a bounded queue in front.
///
/// A job that says it takes long does not count any more: another thread takes its place, up to a limit. So a few heavy
/// queries never keep light ones waiting; the system's scheduler divides the cores among their threads. Waiting callers
/// wait in continuations, so neither an event loop nor the cooperative pool is ever blocked.
package final class QueryPool: Sendable {
    /// A job's place in its pool.
    package final class Lease: Sendable {
        private let pool: QueryPool
        fileprivate let isLong = Atomic<Bool>(false)

        fileprivate init(_ pool: QueryPool) {
            self.pool = pool
        }

        /// Says that the job takes long.
        package func becomeLong() {
            if !isLong.exchange(true, ordering: .relaxed) { pool.noteLong() }
        }
    }

    private struct Job {
        var id: UInt64
        var run: @Sendable (Lease) -> Void
        var drop: @Sendable () -> Void
    }

    private struct State {
        var waiting: [Job] = []
        var nextID: UInt64 = 0
        var running = 0
        /// Of those, how many take long.
        var long = 0
        /// Threads that live, and how many of them have nothing to do.
        var alive: Int
        var idle = 0
        var isClosed = false
    }

    /// The queue is full: come again.
    package struct Full: Error, CustomStringConvertible {
        let waiting: Int
        package var description: String {
            "\(waiting) queries wait already; come again in a moment, or kill one (GET /api/v1/status/queries)"
        }
    }

    private let waitingMaximum: Int
    private let state: Mutex<State>
    private let signal = Semaphore()
    private let name: String
    private let threadCount: Int
    /// So many jobs that take long have a thread beyond `threadCount`.
    private var longMaximum: Int { threadCount * 2 }

    /// Starts `threads` threads named `name` (at most 15 characters).
    package init(name: String, threads: Int, waitingMaximum: Int) {
        self.waitingMaximum = waitingMaximum
        self.name = name
        threadCount = threads
        state = Mutex(State(alive: threads))
        for _ in 0..<threads { startThread() }
    }

    private func startThread() { DedicatedThread.start(name: name) { [self] in work() } }

    /// How many jobs run and wait.
    package var load: (running: Int, waiting: Int) { state.withLock { ($0.running, $0.waiting.count) } }

    /// Runs `body` on a thread of the pool and returns what it returns. Throws `Full` when too many wait, and
    /// `CancellationError` when the task is cancelled while it waits; what already runs must look after that itself.
    package func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await runLeased { _ in try body() }
    }

    /// As `run`, with the job's lease.
    package func runLeased<Value: Sendable>(
        _ body: @escaping @Sendable (Lease) throws -> Value
    ) async throws -> Value {
        try Task.checkCancellation()
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                enqueue(id, body, continuation)
            }
        } onCancel: {
            dropWaiting(id)
        }
    }

    private func enqueue<Value: Sendable>(
        _ id: UInt64, _ body: @escaping @Sendable (Lease) throws -> Value,
        _ continuation: CheckedContinuation<Value, any Error>
    ) {
        let job = Job(
            id: id,
            run: { lease in continuation.resume(with: Result { try body(lease) }) },
            drop: { continuation.resume(throwing: CancellationError()) })
        let waiting = state.withLock { state -> Int? in
            if state.isClosed { return 0 }
            if state.waiting.count >= waitingMaximum { return state.waiting.count }
            state.waiting.append(job)
            return nil
        }
        if let waiting {
            continuation.resume(throwing: Full(waiting: waiting))
        } else {
            signal.post()
            addThreadWhereWanted()
            // Cancelled between the check and the queue: the handler found nothing to remove then.
            if Task.isCancelled { dropWaiting(id) }
        }
    }

    private func dropWaiting(_ id: UInt64) {
        let job = state.withLock { state -> Job? in
            guard let index = state.waiting.firstIndex(where: { $0.id == id }) else { return nil }
            return state.waiting.remove(at: index)
        }
        job?.drop()
    }

    private func noteLong() {
        state.withLock { $0.long += 1 }
        addThreadWhereWanted()
    }

    /// Starts a thread for a job that would wait for one that takes long.
    private func addThreadWhereWanted() {
        let isWanted = state.withLock { state in
            guard !state.isClosed, state.idle < state.waiting.count, state.alive < limit(state) else { return false }
            state.alive += 1
            return true
        }
        if isWanted { startThread() }
    }

    private func limit(_ state: State) -> Int { threadCount + min(state.long, longMaximum) }

    private func work() {
        while true {
            state.withLock { $0.idle += 1 }
            signal.wait()
            let (job, isClosed) = state.withLock { state -> (Job?, Bool) in
                state.idle -= 1
                guard !state.waiting.isEmpty else { return (nil, state.isClosed) }
                state.running += 1
                return (state.waiting.removeFirst(), false)
            }
            if isClosed { return }
            guard let job else { continue }
            let lease = Lease(self)
            job.run(lease)
            let isSurplus = state.withLock { state in
                state.running -= 1
                if lease.isLong.load(ordering: .relaxed) { state.long -= 1 }
                guard state.alive > limit(state) else { return false }
                state.alive -= 1
                return true
            }
            if isSurplus { return }
        }
    }

    /// Refuses new work, drops what waits, and lets the threads end after what they do.
    package func close() {
        let (dropped, alive) = state.withLock { state in
            state.isClosed = true
            defer { state.waiting = [] }
            return (state.waiting, state.alive)
        }
        for job in dropped { job.drop() }
        for _ in 0..<alive { signal.post() }
    }
}
