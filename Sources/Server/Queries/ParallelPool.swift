internal import Glibc
internal import Synchronization
internal import Telemetry

/// Threads that take a part in large queries while they have nothing else to do, so that one heavy query uses all
/// cores.
///
/// They are beside the threads of `QueryPool` and never run a query of their own: help that is busy keeps nobody
/// waiting, and a query that finds nobody idle does all of its work itself.
final class ParallelPool: ParallelPerforming {
    /// The parts of one call: who comes takes the next one.
    private final class Work: Sendable {
        private let count: Int
        private let body: @Sendable (Int) -> Void
        private let next = Atomic<Int>(0)
        let threadsAtWork = Atomic<Int>(0)
        let someoneLeft = Semaphore()

        init(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
            (self.count, self.body) = (count, body)
        }

        /// Does parts until there are none.
        func takePart() {
            while true {
                let part = next.add(1, ordering: .relaxed).oldValue
                guard part < count else { return }
                body(part)
            }
        }
    }

    private struct State {
        var offers: [Work] = []
        var idle = 0
        var isClosed = false
    }

    private let state = Mutex(State())
    private let signal = Semaphore()
    private let threadCount: Int

    /// A thread for each core but the one that the query itself runs on.
    init(threads: Int = max(0, sysconf(Int32(_SC_NPROCESSORS_ONLN)) - 1)) {
        threadCount = threads
        for _ in 0..<threads { DedicatedThread.start(name: "query-parallel") { [self] in help() } }
    }

    func perform(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        let work = Work(count, body)
        let offered = state.withLock { state in
            let offered = min(max(0, state.idle - state.offers.count), count - 1)
            for _ in 0..<offered { state.offers.append(work) }
            return offered
        }
        for _ in 0..<offered { signal.post() }
        work.takePart()
        guard offered > 0 else { return }
        state.withLock { $0.offers.removeAll { $0 === work } }
        // Nobody can come any more; those who came finish the part they are at.
        while work.threadsAtWork.load(ordering: .acquiring) > 0 { work.someoneLeft.wait() }
    }

    private func help() {
        // What falls into parts is large.
        ThreadIdentity.giveWay(.helper)
        while true {
            state.withLock { $0.idle += 1 }
            signal.wait()
            let (work, isClosed) = state.withLock { state -> (Work?, Bool) in
                state.idle -= 1
                guard !state.offers.isEmpty else { return (nil, state.isClosed) }
                let work = state.offers.removeFirst()
                work.threadsAtWork.add(1, ordering: .relaxed)
                return (work, false)
            }
            if isClosed { return }
            guard let work else { continue }
            work.takePart()
            work.threadsAtWork.subtract(1, ordering: .releasing)
            work.someoneLeft.post()
        }
    }

    /// Lets the threads end after what they do.
    func close() {
        state.withLock { $0.isClosed = true }
        for _ in 0..<threadCount { signal.post() }
    }
}
