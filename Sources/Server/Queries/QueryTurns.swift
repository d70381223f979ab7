internal import Synchronization

/// The turns of jobs that take long: so many work at once, the others rest where they are and hold what they have. Next
/// comes a client with fewer turns than others; of one client's, whoever rests longest.
final class QueryTurns: Sendable {
    /// One wait for a turn.
    final class Rest: Sendable {
        fileprivate let wake = Semaphore()
        fileprivate let isGranted = Atomic<Bool>(false)
        fileprivate let client: String

        init(of client: String = "") {
            self.client = client
        }
    }

    private struct State {
        var taken = 0
        var resting = FairQueue<Rest>()
        /// Turns by client.
        var atWork: [String: Int] = [:]
    }

    private let maximum: Int
    private let state = Mutex(State())

    init(maximum: Int) {
        self.maximum = maximum
    }

    /// How many rest.
    var restingCount: Int { state.withLock { $0.resting.count } }

    /// Waits on the calling thread for a turn; false when the wait was `abandon`ed, or `mustEnd` says that nobody wants
    /// the turn any more.
    func take(_ rest: Rest, unless mustEnd: () -> Bool) -> Bool {
        let isFree = state.withLock { state in
            guard state.taken < maximum else {
                state.resting.append(rest, of: rest.client)
                return false
            }
            state.taken += 1
            state.atWork.change(rest.client, by: 1)
            return true
        }
        if isFree { return true }
        // Ended between the last look and the queue: who ended it found nothing to abandon then.
        if mustEnd() { abandon(rest) }
        rest.wake.wait()
        return rest.isGranted.load(ordering: .acquiring)
    }

    /// Ends a wait without a turn; nothing where it has one already.
    func abandon(_ rest: Rest) {
        let isResting = state.withLock { $0.resting.remove(of: rest.client) { $0 === rest } != nil }
        if isResting { rest.wake.post() }
    }

    /// Gives a client's turn back; another has it then.
    func give(of client: String = "") {
        let next = state.withLock { state -> Rest? in
            state.atWork.change(client, by: -1)
            guard let (next, client) = state.resting.popFirst(atWork: state.atWork) else {
                state.taken -= 1
                return nil
            }
            state.atWork.change(client, by: 1)
            next.isGranted.store(true, ordering: .releasing)
            return next
        }
        next?.wake.post()
    }
}
