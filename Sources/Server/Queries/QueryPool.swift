internal import Synchronization
internal import Telemetry

/// A bounded number of threads for work that reads disk or computes long, with a queue in front that is bounded by the
/// memory of what waits in it.
///
/// A job that says it takes long does not count any more: another thread takes its place, its own gives way on the
/// cores, and it takes turns with others of its kind. So heavy queries, however many, never keep light ones waiting,
/// and nobody has to know beforehand which are heavy. Waiting callers wait in continuations, so neither an event loop
/// nor the cooperative pool is ever blocked.
package final class QueryPool: Sendable {
    private struct Job {
        var id: UInt64
        var bytes: Int
        var run: @Sendable (QueryLease) -> Void
        var drop: @Sendable () -> Void
    }

    private struct State {
        var waiting: [Job] = []
        var waitingBytes = 0
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
        let bytes: Int
        package var description: String {
            "\(waiting) queries wait already, which takes \(ByteSizes.binary(Int64(bytes))) of memory; come again in a "
                + "moment, or kill one (GET /api/v1/status/queries)"
        }
    }

    private let waitingBytesMaximum: Int
    private let state: Mutex<State>
    private let signal = Semaphore()
    private let name: String
    private let threadCount: Int
    /// Of those that take long, as many work at once as there are threads for others.
    let turns: QueryTurns
    /// So many jobs that take long have a thread beyond `threadCount`; most of them rest.
    private var longMaximum: Int { threadCount * 64 }

    /// Starts `threads` threads named `name` (at most 15 characters).
    package init(name: String, threads: Int, waitingBytesMaximum: Int) {
        self.waitingBytesMaximum = waitingBytesMaximum
        self.name = name
        threadCount = threads
        turns = QueryTurns(maximum: threads)
        state = Mutex(State(alive: threads))
        for _ in 0..<threads { DedicatedThread.start(name: name) { [self] in work() } }
    }

    /// How many jobs have a thread, and how many wait for one.
    package var load: (running: Int, waiting: Int) { state.withLock { ($0.running, $0.waiting.count) } }

    /// How many of those with a thread wait for their turn.
    package var restingCount: Int { turns.restingCount }

    /// What waiting takes beside what the job itself needs: a connection, a task.
    private static let waitingBytes = 16 << 10

    /// Runs `body` on a thread of the pool and returns what it returns. Throws `Full` when what waits takes too much
    /// memory, and `CancellationError` when the task is cancelled while it waits; what already runs must look after
    /// that itself.
    package func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await runLeased { _ in try body() }
    }

    /// As `run`, with the job's lease. It holds `bytes` while it waits. Who `isAdmitted` already, as the rest of an
    /// answer that has begun, is never turned away.
    package func runLeased<Value: Sendable>(
        bytes: Int = 0, isAdmitted: Bool = false, _ body: @escaping @Sendable (QueryLease) throws -> Value
    ) async throws -> Value {
        try Task.checkCancellation()
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                enqueue(id, isAdmitted ? 0 : bytes + QueryPool.waitingBytes, body, continuation)
            }
        } onCancel: {
            dropWaiting(id)
        }
    }

    private func enqueue<Value: Sendable>(
        _ id: UInt64, _ bytes: Int, _ body: @escaping @Sendable (QueryLease) throws -> Value,
        _ continuation: CheckedContinuation<Value, any Error>
    ) {
        let job = Job(
            id: id, bytes: bytes,
            run: { lease in continuation.resume(with: Result { try body(lease) }) },
            drop: { continuation.resume(throwing: CancellationError()) })
        let refusal = state.withLock { state -> Full? in
            if state.isClosed { return Full(waiting: 0, bytes: 0) }
            guard bytes == 0 || state.waiting.isEmpty || state.waitingBytes + bytes <= waitingBytesMaximum else {
                return Full(waiting: state.waiting.count, bytes: state.waitingBytes)
            }
            state.waiting.append(job)
            state.waitingBytes += bytes
            return nil
        }
        if let refusal {
            continuation.resume(throwing: refusal)
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
            let job = state.waiting.remove(at: index)
            state.waitingBytes -= job.bytes
            return job
        }
        job?.drop()
    }

    func noteLong() {
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
        // Where the system gives no more threads, those there are will do.
        if isWanted, !DedicatedThread.tryToStart(name: name, { [self] in work() }) {
            state.withLock { $0.alive -= 1 }
        }
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
                let job = state.waiting.removeFirst()
                state.waitingBytes -= job.bytes
                return (job, false)
            }
            if isClosed { return }
            guard let job else { continue }
            let lease = QueryLease(self)
            job.run(lease)
            if !finish(wasLong: lease.end()) { return }
        }
    }

    /// A job is done; whether its thread is still wanted. One that gave way on the cores does so for good, and ends.
    /// It starts no other one, which would give way as far: whoever comes next does, and while others live what waits
    /// is served by them.
    private func finish(wasLong: Bool) -> Bool {
        let (isWanted, isLast) = state.withLock { state in
            state.running -= 1
            if wasLong { state.long -= 1 }
            guard wasLong || state.alive > limit(state) else { return (true, false) }
            state.alive -= 1
            return (false, state.alive == 0)
        }
        if isLast { addThreadWhereWanted() }
        return isWanted
    }

    /// Refuses new work, drops what waits, and lets the threads end after what they do.
    package func close() {
        let (dropped, alive) = state.withLock { state in
            state.isClosed = true
            defer { (state.waiting, state.waitingBytes) = ([], 0) }
            return (state.waiting, state.alive)
        }
        for job in dropped { job.drop() }
        for _ in 0..<alive { signal.post() }
    }
}
