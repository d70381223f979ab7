internal import Disk
internal import Synchronization
internal import Telemetry

/// A series that has samples in the head, or had some lately: where it is, and nothing that changes.
struct HeadSeries: Sendable {
    let labels: Labels
    let group: HeadGroup
    /// Its column in the group's tables.
    let column: Int
}

/// The series of one target, which share their timestamps.
///
/// What changes with every sample lies in one array per group, in the order of columns, which is the order in which
/// senders name series: an append walks it front to back.
final class HeadGroup: Sendable {
    /// What is known of one series beside its samples.
    struct Column {
        /// Never given to another series while the log lives; 0 where the series was forgotten.
        var id: UInt64
        /// The newest float, so that the common case (later than it, or the same again) needs no search.
        var lastMilliseconds = Int64.min
        var lastBits: UInt64 = 0
        /// What the log said last, if that was in the chain of rows it writes now.
        var loggedBits: UInt64 = 0
        var loggedChain: UInt32 = 0
        /// The epoch of the log in which its labels were declared last.
        var declaredEpoch: UInt32 = 0
        /// The flush round of its last sample.
        var lastRound: UInt32 = 0
    }

    /// What the lock guards.
    struct State {
        /// Takes the appends.
        var current = HeadTable()
        /// Takes what is filled in for a time long past, so that it does not mix with the present; nil while there is
        /// nothing.
        var backfill: HeadTable?
        /// Being written to a block, oldest first; still read.
        var frozen: [HeadTable] = []
        var columns: [Column] = []
        /// By column; empty where the series was forgotten.
        var labels: [Labels] = []
        var freeColumns: [Int] = []
        /// By column, where it is a later time than that of the group: up to when blocks may have samples of it that
        /// the head does not know of, because it was not here before, or its newest were deleted.
        var sealedMilliseconds: [Int: Int64] = [:]
        /// The newest histogram by column.
        var lastHistogramMilliseconds: [Int: Int64] = [:]
        var log = LogState()
    }

    /// Where the group's rows in the log are; only the thread of the log changes it.
    struct LogState {
        /// The epoch in which the group was declared.
        var declaredEpoch: UInt32 = 0
        /// Rises with every full row; values of another chain are not built upon.
        var chain: UInt32 = 0
        var rowsInChain = 0
        var lastTime: Int64 = 0
        /// The columns of the last row.
        var columns: [UInt32] = []
    }

    let id: UInt64
    let target: Labels
    /// Up to this time blocks may have samples of its series that the head does not know of.
    let sealedMilliseconds: Int64
    let state = Mutex(State())
    /// Appends that know the group and were not applied yet: it must not be forgotten meanwhile.
    let pendingAppends = Atomic<Int>(0)
    /// No sample of the group is later.
    let newestMilliseconds = Atomic<Int64>(.min)
    /// The bytes of all labels it ever had, and of the longest: a record's declarations are no larger.
    let labelBytes = Atomic<Int>(0)
    let labelBytesMaximum = Atomic<Int>(0)

    /// A group without series; blocks have samples up to `sealedMilliseconds`.
    init(id: UInt64, target: Labels, sealedMilliseconds: Int64) {
        self.id = id
        self.target = target
        self.sealedMilliseconds = sealedMilliseconds
    }

    /// Gives a series the next free column, under the lock of the index.
    func addColumn(id: UInt64, labels: Labels, sealedMilliseconds: Int64) -> Int {
        let bytes = labels.encoded.count
        labelBytes.add(bytes, ordering: .relaxed)
        if bytes > labelBytesMaximum.load(ordering: .relaxed) { labelBytesMaximum.store(bytes, ordering: .relaxed) }
        return state.withLock { state in
            let column: Int
            if let free = state.freeColumns.popLast() {
                column = free
                state.columns[column] = Column(id: id)
                state.labels[column] = labels
                // The list of the last row may name the column for the series it had before.
                state.log.columns = []
            } else {
                column = state.columns.count
                state.columns.appendGradually(Column(id: id))
                state.labels.appendGradually(labels)
            }
            if sealedMilliseconds != self.sealedMilliseconds { state.sealedMilliseconds[column] = sealedMilliseconds }
            return column
        }
    }

    /// Up to when a series may have samples, floats or histograms, here or in blocks.
    func knownMilliseconds(column: Int, ofHistograms: Bool) -> Int64 {
        state.withLock { state in
            let last =
                ofHistograms
                ? state.lastHistogramMilliseconds[column] ?? .min : state.columns[column].lastMilliseconds
            return max(last, sealedMilliseconds, state.sealedMilliseconds[column] ?? .min)
        }
    }

    /// Whether a time is further behind the newest than `window`.
    func isOld(_ milliseconds: Int64, by window: Int64) -> Bool {
        let newest = newestMilliseconds.load(ordering: .relaxed)
        guard newest != .min, milliseconds < newest else { return false }
        // Far apart times may not even have a difference of 64 bits.
        let (behind, overflow) = newest.subtractingReportingOverflow(milliseconds)
        return overflow || behind > window
    }

    /// All tables as they are now, oldest first.
    func snapshots() -> [HeadTable.Snapshot] {
        state.withLock { state in state.tables.compactMap { $0.snapshot() } }
    }

    /// The first place in the log whose rows are in no block.
    var firstUnsealedPosition: LogPosition? {
        state.withLock { state in
            state.tables.compactMap { table in table.rows.withLock(\.firstPosition) }.min()
        }
    }

    /// The group of a series when its sender names none: the labels `job` and `instance`.
    static func target(for labels: Labels) -> Labels { labels.keeping(["job", "instance"]) }
}

extension HeadGroup.State {
    /// All tables, oldest first.
    var tables: [HeadTable] { frozen + (backfill.map { [$0] } ?? []) + [current] }

    /// Whether no table has a row.
    var isEmpty: Bool { tables.allSatisfy { $0.rows.withLock(\.times.isEmpty) } }

    /// The other tables, which may have samples of the same times.
    func tables(without table: HeadTable) -> [HeadTable] {
        if table === current, backfill == nil { return frozen }
        return tables.filter { $0 !== table }
    }

    /// The table for what is filled in, made when there is none.
    mutating func backfillTable() -> HeadTable {
        let table = backfill ?? HeadTable(isBackfill: true)
        backfill = table
        return table
    }

    /// Forgets the newest samples of a series that lie within `range`: they were deleted, and the same ones may come
    /// again.
    mutating func forgetNewest(of column: Int, within range: TimeRange) {
        let last = columns[column].lastMilliseconds
        if range.contains(last) {
            noteSealed(last, of: column)
            columns[column].lastMilliseconds = .min
        }
        if let last = lastHistogramMilliseconds[column], range.contains(last) {
            noteSealed(last, of: column)
            lastHistogramMilliseconds[column] = nil
        }
    }

    private mutating func noteSealed(_ milliseconds: Int64, of column: Int) {
        sealedMilliseconds[column] = max(sealedMilliseconds[column] ?? .min, milliseconds)
    }

    /// The number of series.
    var seriesCount: Int { columns.count - freeColumns.count }

    /// Whether a column's series had no sample in the last two flushes.
    func isIdle(column: Int, in round: UInt32) -> Bool {
        columns[column].id != 0 && columns[column].lastRound + 2 <= round
    }

    /// Lets go of a series.
    mutating func forget(column: Int) {
        columns[column] = HeadGroup.Column(id: 0)
        sealedMilliseconds[column] = nil
        labels[column] = .empty
        lastHistogramMilliseconds[column] = nil
        freeColumns.append(column)
        log.columns = []
    }
}
