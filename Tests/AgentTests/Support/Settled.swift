import Synchronization

/// Remembers tickets.
final class Settled: Sendable {
    private let tickets = Mutex<[UInt64]>([])

    var all: [UInt64] { tickets.withLock { $0 } }

    func add(_ ticket: UInt64) { tickets.withLock { $0.append(ticket) } }
}
