internal import Synchronization

/// Gives a cache back that nobody has asked for a while: a store without queries needs no memory for them.
final class IdleCache: Sendable {
    private struct State {
        var uses: UInt64 = 0
        var quietRounds = 0
    }

    /// Rounds of housekeeping without a query after which the cache goes; about a minute with the default interval.
    static let roundsMaximum = 12

    private let state = Mutex(State())

    /// Looks whether the cache was used since the last round.
    func round(_ blocks: BlockCache) {
        let uses = blocks.uses
        let isIdle = state.withLock { state in
            state.quietRounds = uses == state.uses ? state.quietRounds + 1 : 0
            state.uses = uses
            return state.quietRounds == IdleCache.roundsMaximum
        }
        if isIdle { _ = blocks.removeAll() }
    }
}
