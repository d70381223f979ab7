internal import Glibc
internal import Synchronization

/// A job's place in a `QueryPool`.
package final class QueryLease: Sendable {
    private struct State {
        var isLong = false
        var hasTurn = false
        var hasEnded = false
        var rest: QueryTurns.Rest?
    }

    private let pool: QueryPool
    private let client: String
    private let thread = ThreadIdentity.current
    private let state = Mutex(State())

    init(_ pool: QueryPool, of client: String) {
        self.pool = pool
        self.client = client
    }

    /// Whether the calling thread is the job's own.
    package var isHere: Bool { thread == .current }

    /// Says that the job takes long, at first and again from time to time; called on the job's own thread, and of no
    /// effect on others. The thread gives way to others on the cores, another one takes its place in the pool, and it
    /// takes turns with others that take long: here it waits for its turn, unless `mustEnd` or `wake` say otherwise.
    package func becomeLong(unless mustEnd: () -> Bool = { false }) {
        guard isHere else { return }
        let (isFirst, hadTurn, hasEnded) = state.withLock { state in
            defer { state.isLong = state.isLong || !state.hasEnded }
            return (!state.isLong, state.hasTurn, state.hasEnded)
        }
        if hasEnded { return }
        if isFirst {
            // In this order: a thread that is started inherits how far its starter gives way (setpriority(2)).
            pool.noteLong(of: client)
            ThreadIdentity.giveWay(.longQuery)
        } else if hadTurn {
            guard pool.turns.restingCount > 0 else { return }
            state.withLock { $0.hasTurn = false }
            pool.turns.give(of: client)
        }
        let rest = QueryTurns.Rest(of: client)
        state.withLock { $0.rest = rest }
        let hasTurn = pool.turns.take(rest, unless: mustEnd)
        state.withLock { state in
            state.hasTurn = hasTurn
            state.rest = nil
        }
    }

    /// Ends a wait in `becomeLong`, for what nobody wants any more.
    package func wake() {
        if let rest = state.withLock({ $0.rest }) { pool.turns.abandon(rest) }
    }

    /// The job is done; says whether it took long.
    func end() -> Bool {
        let (isLong, hadTurn) = state.withLock { state in
            defer { (state.hasTurn, state.hasEnded) = (false, true) }
            return (state.isLong, state.hasTurn)
        }
        if hadTurn { pool.turns.give(of: client) }
        return isLong
    }
}

/// Which thread one is on.
struct ThreadIdentity: Sendable, Equatable {
    private let number: pthread_t

    /// The calling thread.
    static var current: ThreadIdentity { ThreadIdentity(number: pthread_self()) }

    /// How far a thread gives way.
    enum Niceness: CInt {
        /// About a third of another thread's share.
        case helper = 5
        /// About a ninth.
        case longQuery = 10
    }

    /// Lets other threads go before the calling one where cores are scarce (setpriority(2), which on Linux holds for
    /// one thread). There is no way back without privileges: the thread should end after its job.
    static func giveWay(_ niceness: Niceness) {
        _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness.rawValue)
    }
}
