internal import Disk
internal import TestSupport

/// What simulated lives have met: a class that was never hit makes the run fail, so that "passed" means something.
struct LogCoverage: Sendable {
    private var crashes: [String: Int] = [:]
    var tears = Tears()
    var promised = 0
    var poisoned = 0
    var groupCommits = 0
    private var failedSyncs = 0
    private var failedWrites = 0
    private var refusedForSpace = 0
    private var tornTails = 0
    private var gapsInLastBatch = 0

    /// Adds what happened to a disk.
    mutating func note(_ storage: SimulatedStorage) {
        if let crash = storage.crash {
            crashes["\(crash.moment.rawValue) \(crash.operation.rawValue)", default: 0] += 1
        }
        failedSyncs += storage.failedSyncs
        failedWrites += storage.failedWrites
        refusedForSpace += storage.refusedForSpace
        tears.add(storage.tears)
    }

    /// Adds what an opening found.
    mutating func note(_ recovery: LogRecovery) {
        if recovery.tornBytes > 0 { tornTails += 1 }
        if recovery.unconfirmedFramesLost > 0 { gapsInLastBatch += 1 }
    }

    /// Adds another run.
    mutating func add(_ other: LogCoverage) {
        crashes.merge(other.crashes, uniquingKeysWith: +)
        tears.add(other.tears)
        promised += other.promised
        poisoned += other.poisoned
        groupCommits += other.groupCommits
        failedSyncs += other.failedSyncs
        failedWrites += other.failedWrites
        refusedForSpace += other.refusedForSpace
        tornTails += other.tornTails
        gapsInLastBatch += other.gapsInLastBatch
    }

    /// The classes that no run has met.
    var missing: [String] {
        var missing: [String] = []
        // Nothing in a log links or renames but the quarantine, which is no matter of crashes.
        for operation in SimulatedStorage.Operation.allCases where operation != .link && operation != .rename {
            for moment in ["before", "after"] where crashes["\(moment) \(operation.rawValue)"] == nil {
                missing.append("a crash \(moment) \(operation.rawValue)")
            }
        }
        for moment in ["during write", "during dataSync"] where crashes[moment] == nil {
            missing.append("a crash \(moment)")
        }
        // 28 bytes are a frame's header: each of them must have been the last that survived.
        for length in 0...28 where tears.prefixes[length] == nil {
            missing.append("a write torn after \(length) bytes")
        }
        let counts = [
            "a write torn in its payload": tears.prefixes[Tears.prefixMaximum] ?? 0,
            "a write without its start": tears.middles,
            "a size without bytes": tears.zeroed, "a write lost": tears.lost,
            "an unsynced write that survived": tears.whole,
            "a failed sync": failedSyncs, "a failed write": failedWrites, "a full disk": refusedForSpace,
            "a poisoned log": poisoned, "a group commit": groupCommits, "a torn tail": tornTails,
            "a gap in the last batch": gapsInLastBatch, "a promise": promised,
        ]
        return missing + counts.filter { $0.value == 0 }.map(\.key).sorted()
    }
}
