internal import Synchronization

/// How far the threads of the agent have come: what a watchdog asks, so that it is fed by work done and not by a timer.
package final class AgentProgress: Sendable {
    private let ticks = Atomic<UInt64>(0)
    private let passes = Atomic<UInt64>(0)
    private let waiting = Mutex<@Sendable () -> UInt64?>({ nil })

    /// Nothing was done yet.
    init() {}

    /// Ticks of collection so far.
    package var collectionTicks: UInt64 { ticks.load(ordering: .relaxed) }
    /// Rounds of the thread that reads log files so far; one in a few seconds is counted.
    package var tailRounds: UInt64 { passes.load(ordering: .relaxed) }
    /// The batch that waits longest for the spool's thread; nil when none does.
    package var waitingTicket: UInt64? { waiting.withLock { $0 }() }

    func collected() { ticks.add(1, ordering: .relaxed) }
    func tailed() { passes.add(1, ordering: .relaxed) }
    func watch(_ spool: Spool) { waiting.withLock { $0 = { [weak spool] in spool?.firstWaitingTicket } } }
}
