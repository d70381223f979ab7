internal import Telemetry

/// Records of the log that are damaged: nobody knows whose samples they held, so every answer over their time says so.
struct LogGap: Equatable, Sendable {
    /// The time between the newest sample before and the samples behind them.
    var times: TimeRange
    /// How many; 0 where a whole segment is gone, and nobody knows how many were in it.
    var records: UInt64

    /// Says in the answer what may be missing from it.
    func tell(in context: QueryContext) {
        let (start, end) = (times.startMilliseconds, times.endMilliseconds)
        let damaged =
            switch records {
            case 0: "a segment of the log of metrics is gone or"
            case 1: "1 record of the log of metrics is"
            default: "\(records) records of the log of metrics are"
            }
        let reason =
            "\(damaged) damaged; "
            + "samples of any series from \(Timestamps.rfc3339(milliseconds: start)) to "
            + "\(Timestamps.rfc3339(milliseconds: end)) may be missing from this answer, check the disk"
        context.warn(reason)
        let first = start.multipliedReportingOverflow(by: 1_000_000)
        let last = end.multipliedReportingOverflow(by: 1_000_000)
        guard !first.overflow, !last.overflow, last.partialValue < .max else { return }
        let range = LogTimeRange(startNanoseconds: first.partialValue, endNanoseconds: last.partialValue + 1)
        context.report(AnswerGap(range: range, labels: .empty, reason: reason))
    }
}

/// Finds the time of lost records by the records around them.
struct LogGapFinder {
    private(set) var gaps: [LogGap] = []
    private var newest: Int64
    private var unplaced: UInt64 = 0

    /// Samples up to `newest` are known from elsewhere.
    init(newest: Int64?) {
        self.newest = newest ?? 0
    }

    /// So many records are gone in front of the next one.
    mutating func lost(_ records: UInt64) { unplaced += records }

    /// The next record holds samples from `first` to `last`.
    mutating func found(first: Int64, last: Int64) {
        close(at: first)
        newest = max(newest, last)
    }

    /// Rows up to `time` are gone as well, because they built on what was lost.
    mutating func extend(to time: Int64) {
        guard let last = gaps.last, time > last.times.endMilliseconds else { return }
        gaps[gaps.count - 1].times = TimeRange(
            startMilliseconds: last.times.startMilliseconds, endMilliseconds: time)
    }

    /// The log ends at `now`, `records` of it are lost in all.
    mutating func end(atMilliseconds now: Int64, records: UInt64) {
        let placed = gaps.reduce(0) { $0 + $1.records }
        if records == 0 { gaps = [] }
        unplaced = records > placed ? records - placed : 0
        close(at: now)
    }

    private mutating func close(at time: Int64) {
        guard unplaced > 0 else { return }
        let times = TimeRange(startMilliseconds: min(newest, time), endMilliseconds: max(newest, time))
        gaps.append(LogGap(times: times, records: unplaced))
        unplaced = 0
    }
}
