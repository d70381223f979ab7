internal import Telemetry

/// A range of time cut into buckets of one width, the last of which may be shorter.
struct TimeBuckets {
    /// The most buckets a request may have: one for each second of a year.
    static let countMaximum = 32_000_000

    let startNanoseconds: Int64
    let widthNanoseconds: Int64
    let count: Int

    /// The buckets of `range`; nil when there are too many.
    init?(range: LogTimeRange, widthNanoseconds: Int64) {
        let (span, overflows) = range.endNanoseconds.subtractingReportingOverflow(range.startNanoseconds)
        guard !overflows else { return nil }
        let count = span <= 0 ? 0 : (span - 1) / widthNanoseconds + 1
        guard count <= Int64(TimeBuckets.countMaximum) else { return nil }
        startNanoseconds = range.startNanoseconds
        self.widthNanoseconds = widthNanoseconds
        self.count = Int(count)
    }

    /// The bucket of a time within the range.
    @inline(__always)
    func index(of nanoseconds: Int64) -> Int { Int((nanoseconds &- startNanoseconds) / widthNanoseconds) }
}
