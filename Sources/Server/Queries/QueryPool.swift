internal import Synchronization
internal import Telemetry

/// A bounded number of threads for work that reads disk or computes long, with a queue in front that is bounded by the
/// memory of what waits in it.
///
/// A job that says it takes long does not count any more: another thread takes its place, its own gives way on the
/// cores, and it takes turns with others of its kind. So heavy queries, however many, never keep light ones waiting,
/// and nobody has to know beforehand which are heavy. Until a job is known to take long its client is held to its
/// share: clients are served in turn, and one thread is left to the others. Waiting callers wait in continuations, so
/// neither an event loop nor the cooperative pool is ever blocked.
package final class QueryPool: Sendable {
    private struct Job {
        var ticket: Ticket
        var bytes: Int
        var run: @Sendable (QueryLease) -> Void
        var drop: @Sendable (any Error) -> Void
    }

    /// What a job that may wait is known by.
    struct Ticket: Sendable, Hashable {
        fileprivate let id: UInt64
        /// Who asks for it.
        let client: String
    }

    private struct State {
        var waiting = FairQueue<Job>()
        var waitingBytes = 0
        var nextID: UInt64 = 0
        /// Jobs that are not known to take long, by client.
        var atWork: [String: Int] = [:]
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
    /// So many jobs of one client are at work before they are known to take long.
    private var clientMaximum: Int { max(1, threadCount - 1) }

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
        of client: String = "", bytes: Int = 0, isAdmitted: Bool = false,
        _ body: @escaping @Sendable (QueryLease) throws -> Value
    ) async throws -> Value {
        try Task.checkCancellation()
        let ticket = ticket(of: client)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                submit(ticket, bytes: bytes, isAdmitted: isAdmitted) { lease in
                    continuation.resume(with: Result { try body(lease) })
                } drop: {
                    continuation.resume(throwing: $0)
                }
                // Cancelled between the check and the queue: the handler found nothing to remove then.
                if Task.isCancelled { withdraw(ticket) }
            }
        } onCancel: {
            withdraw(ticket)
        }
    }

    /// A ticket for a job that `client` asks for.
    func ticket(of client: String) -> Ticket {
        state.withLock { state in
            state.nextID += 1
            return Ticket(id: state.nextID, client: client)
        }
    }

    /// Calls `run` on a thread of the pool, or `drop` with what kept it from there: `Full`, or `CancellationError` when
    /// it is withdrawn. Exactly one of the two, once. `bytes` and `isAdmitted` as in `runLeased`.
    func submit(
        _ ticket: Ticket, bytes: Int, isAdmitted: Bool, run: @escaping @Sendable (QueryLease) -> Void,
        drop: @escaping @Sendable (any Error) -> Void
    ) {
        let bytes = isAdmitted ? 0 : bytes + QueryPool.waitingBytes
        let job = Job(ticket: ticket, bytes: bytes, run: run, drop: drop)
        let refusal = state.withLock { state -> Full? in
            if state.isClosed { return Full(waiting: 0, bytes: 0) }
            guard bytes == 0 || state.waiting.isEmpty || state.waitingBytes + bytes <= waitingBytesMaximum else {
                return Full(waiting: state.waiting.count, bytes: state.waitingBytes)
            }
            state.waiting.append(job, of: ticket.client)
            state.waitingBytes += bytes
            return nil
        }
        if let refusal {
            drop(refusal)
        } else {
            signal.post()
            addThreadWhereWanted()
        }
    }

    /// Drops a job that waits; of no effect on one that does not.
    func withdraw(_ ticket: Ticket) {
        let job = state.withLock { state -> Job? in
            let job = state.waiting.remove(of: ticket.client) { $0.ticket == ticket }
            state.waitingBytes -= job?.bytes ?? 0
            return job
        }
        job?.drop(CancellationError())
    }

    func noteLong(of client: String) {
        state.withLock { state in
            state.long += 1
            state.atWork.change(client, by: -1)
        }
        lookAgain()
        addThreadWhereWanted()
    }

    /// A client has less at work than before: somebody looks for what had to wait for that.
    private func lookAgain() {
        if state.withLock({ !$0.waiting.isEmpty }) { signal.post() }
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
                // What must wait for others of its client is looked for again when one of them is done.
                guard let (job, client) = state.waiting.popFirst(below: clientMaximum, atWork: state.atWork) else {
                    return (nil, state.isClosed)
                }
                state.running += 1
                state.atWork.change(client, by: 1)
                state.waitingBytes -= job.bytes
                return (job, false)
            }
            if isClosed { return }
            guard let job else { continue }
            let lease = QueryLease(self, of: job.ticket.client)
            job.run(lease)
            if !finish(job, wasLong: lease.end()) { return }
        }
    }

    /// A job is done; whether its thread is still wanted. One that gave way on the cores does so for good, and ends.
    /// It starts no other one, which would give way as far: whoever comes next does, and while others live what waits
    /// is served by them.
    private func finish(_ job: Job, wasLong: Bool) -> Bool {
        let (isWanted, isLast) = state.withLock { state in
            state.running -= 1
            if wasLong { state.long -= 1 } else { state.atWork.change(job.ticket.client, by: -1) }
            guard wasLong || state.alive > limit(state) else { return (true, false) }
            state.alive -= 1
            return (false, state.alive == 0)
        }
        if !wasLong { lookAgain() }
        if isLast { addThreadWhereWanted() }
        return isWanted
    }

    /// Refuses new work, drops what waits, and lets the threads end after what they do.
    package func close() {
        let (dropped, alive) = state.withLock { state in
            state.isClosed = true
            state.waitingBytes = 0
            return (state.waiting.removeAll(), state.alive)
        }
        for job in dropped { job.drop(CancellationError()) }
        for _ in 0..<alive { signal.post() }
    }
}
