internal import Glibc
internal import Synchronization

/// A fixed number of threads for work that reads disk or computes long, with a bounded queue in front.
///
/// Waiting callers wait in continuations, so neither an event loop nor the cooperative pool is ever blocked.
package final class QueryPool: Sendable {
    private struct Job {
        var id: UInt64
        var run: @Sendable () -> Void
        var drop: @Sendable () -> Void
    }

    private struct State {
        var waiting: [Job] = []
        var nextID: UInt64 = 0
        var running = 0
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
    private let state = Mutex(State())
    private let signal = Semaphore()
    private let threadCount: Int

    /// Starts `threads` threads named `name` (at most 15 characters).
    package init(name: String, threads: Int, waitingMaximum: Int) {
        self.waitingMaximum = waitingMaximum
        threadCount = threads
        for _ in 0..<threads { DedicatedThread.start(name: name) { [self] in work() } }
    }

    /// How many jobs run and wait.
    package var load: (running: Int, waiting: Int) { state.withLock { ($0.running, $0.waiting.count) } }

    /// Runs `body` on a thread of the pool and returns what it returns. Throws `Full` when too many wait, and
    /// `CancellationError` when the task is cancelled while it waits; what already runs must look after that itself.
    package func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
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
        _ id: UInt64, _ body: @escaping @Sendable () throws -> Value,
        _ continuation: CheckedContinuation<Value, any Error>
    ) {
        let job = Job(
            id: id,
            run: { continuation.resume(with: Result { try body() }) },
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

    private func work() {
        while true {
            signal.wait()
            let (job, isClosed) = state.withLock { state -> (Job?, Bool) in
                guard !state.waiting.isEmpty else { return (nil, state.isClosed) }
                state.running += 1
                return (state.waiting.removeFirst(), false)
            }
            if isClosed { return }
            guard let job else { continue }
            job.run()
            state.withLock { $0.running -= 1 }
        }
    }

    /// Refuses new work, drops what waits, and lets the threads end after what they do.
    package func close() {
        let dropped = state.withLock { state in
            state.isClosed = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for job in dropped { job.drop() }
        for _ in 0..<threadCount { signal.post() }
    }
}

/// A counting semaphore of the system.
private final class Semaphore: @unchecked Sendable {
    private let semaphore: UnsafeMutablePointer<sem_t>

    init() {
        semaphore = .allocate(capacity: 1)
        sem_init(semaphore, 0, 0)
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func post() { sem_post(semaphore) }

    func wait() {
        while sem_wait(semaphore) != 0 {}
    }
}
