internal import Disk
internal import Synchronization
internal import Telemetry

/// A series that has samples in the head, or had some lately.
final class HeadSeries: Sendable {
    /// Never given to another series while the log lives.
    let id: UInt64
    let labels: Labels
    unowned let group: HeadGroup
    /// Its column in the group's tables.
    let column: Int
    /// The newest sample, so that the common case (later than it, or the same again) needs no search.
    let lastMilliseconds = Atomic<Int64>(.min)
    let lastBits = Atomic<UInt64>(0)
    let lastHistogramMilliseconds = Atomic<Int64>(.min)
    /// The epoch of the log in which its labels were declared last; only the writer thread asks.
    let declaredEpoch = Atomic<UInt64>(0)
    /// The flush round of its last sample.
    let lastRound = Atomic<UInt64>(0)
    /// Its number in the head's index, which changes when series are forgotten. Guarded by the index' lock.
    let number = Atomic<Int>(0)
    /// Which builder saw it last, and its place there. Guarded by the index' lock.
    let mark = Atomic<UInt64>(0)

    /// A series without samples.
    init(id: UInt64, labels: Labels, group: HeadGroup, column: Int) {
        self.id = id
        self.labels = labels
        self.group = group
        self.column = column
    }

    /// Whether two flushes have passed since its last sample.
    func isIdle(in round: UInt64) -> Bool { lastRound.load(ordering: .relaxed) + 2 <= round }
}

/// The series of one target, which share their timestamps.
final class HeadGroup: Sendable {
    /// What the lock guards.
    struct State {
        /// Takes the appends.
        var current = HeadTable()
        /// Being written to a block, oldest first; still read.
        var frozen: [HeadTable] = []
        /// By column number; nil where a series was forgotten.
        var series: [HeadSeries?] = []
        var freeColumns: [Int] = []
    }

    let id: UInt64
    let target: Labels
    let state = Mutex(State())
    /// Appends that know the group and were not applied yet: it must not be forgotten meanwhile.
    let pendingAppends = Atomic<Int>(0)
    /// As of its series.
    let declaredEpoch = Atomic<UInt64>(0)

    /// A group without series.
    init(id: UInt64, target: Labels) {
        self.id = id
        self.target = target
    }

    /// All tables as they are now, oldest first.
    func snapshots() -> [HeadTable.Snapshot] {
        state.withLock { state in (state.frozen + [state.current]).compactMap { $0.snapshot() } }
    }

    /// The first place in the log whose rows are in no block.
    var firstUnsealedPosition: LogPosition? {
        state.withLock { state in
            (state.frozen + [state.current]).compactMap { table in table.rows.withLock(\.firstPosition) }.min()
        }
    }

    /// The group of a series when its sender names none: the labels `job` and `instance`.
    static func target(for labels: Labels) -> Labels { labels.keeping(["job", "instance"]) }
}
