internal import Disk
internal import Synchronization
internal import Telemetry

/// How far the log is read back into the head.
struct ReadBack {
    /// When so few records are left, appends are made to wait until they are read, too.
    static let recordsAtJoin: UInt64 = 256
    /// So often what came meanwhile is read without making anybody wait; a sender that is faster than the reader must
    /// not put off the end for ever.
    static let passesMaximum = 8

    /// The log as this process found it. What lies behind it is of this process.
    let old: LogExtent
    let reader = LogReader()
    var replay: HeadReplay?
    var next: LogPosition
    var framesLost: UInt64 = 0
    var isOldRead = false
    var passes = 0
    /// With so many bytes of rows in memory they go to a block.
    var nextFlush: Int

    /// Nothing is read yet.
    init(_ old: LogExtent, headBytes: Int) {
        self.old = old
        next = old.first
        nextFlush = headBytes
    }

    /// How much of the old log is read, in thousandths.
    var progress: Int {
        let (done, all) = (next.ordinal - old.first.ordinal, old.end.ordinal - old.first.ordinal)
        return all == 0 ? 1000 : Int(clamping: done * 1000 / all)
    }
}

/// What the start found.
struct StartReport {
    /// Damaged or missing, for the operator's log.
    var findings: [String] = []
    /// What of it concerns the log.
    var damage: [Quarantined] = []
    /// The times that damage of the log concerns.
    var gaps: [LogGap] = []
}
