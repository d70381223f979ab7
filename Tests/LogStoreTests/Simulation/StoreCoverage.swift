internal import TestSupport

@testable internal import LogStore

/// What simulated lives of a store have met: what was never hit makes the run fail, so that "passed" means something.
struct StoreCoverage: Sendable {
    private var met: [String: Int] = [:]

    /// Counts something that a run should meet.
    mutating func note(_ what: String, _ count: Int = 1) {
        if count > 0 { met[what, default: 0] += count }
    }

    /// Adds what happened to a disk.
    mutating func note(_ storage: SimulatedStorage) {
        if let crash = storage.crash { note("a crash \(crash.moment.rawValue) \(crash.operation.rawValue)") }
        note("a failed sync", storage.failedSyncs)
        note("a failed write", storage.failedWrites)
        note("a full disk", storage.refusedForSpace)
    }

    /// Adds another run.
    mutating func add(_ other: StoreCoverage) { met.merge(other.met, uniquingKeysWith: +) }

    static let wanted: [String] =
        SimulatedStorage.Operation.allCases.filter { $0 != .link }.flatMap { operation in
            ["a crash before \(operation.rawValue)", "a crash after \(operation.rawValue)"]
        } + [
            "a crash during write", "a failed sync", "a failed write", "a full disk", "a poisoned log",
            "a batch stored",
            "a stored batch sent again", "an open batch that was there", "an open batch that was not",
            "a line stored before", "a line refused", "an overload", "a part", "an expired part", "a merged part",
            "a deletion",
            "a deletion that was not answered", "a loss", "a replayed batch", "a clean end",
            "a filter that found lines",
        ]

    /// What no run has met.
    var missing: [String] { StoreCoverage.wanted.filter { met[$0] == nil } }
}
