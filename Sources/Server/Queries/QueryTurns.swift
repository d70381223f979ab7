internal import Synchronization

/// The turns of jobs that take long: so many work at once, the others rest where they are and hold what they have, in
/// the order in which they came.
final class QueryTurns: Sendable {
    /// One wait for a turn.
    final class Rest: Sendable {
        fileprivate let wake = Semaphore()
        fileprivate let isGranted = Atomic<Bool>(false)
    }

    private struct State {
        var taken = 0
        var resting: [Rest] = []
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
                state.resting.append(rest)
                return false
            }
            state.taken += 1
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
        let isResting = state.withLock { state in
            guard let index = state.resting.firstIndex(where: { $0 === rest }) else { return false }
            state.resting.remove(at: index)
            return true
        }
        if isResting { rest.wake.post() }
    }

    /// Gives a turn back; who rests longest has it then.
    func give() {
        let next = state.withLock { state -> Rest? in
            guard !state.resting.isEmpty else {
                state.taken -= 1
                return nil
            }
            let next = state.resting.removeFirst()
            next.isGranted.store(true, ordering: .releasing)
            return next
        }
        next?.wake.post()
    }
}
