/// The times an expression is evaluated at: evenly spaced, at least one.
struct StepTimes: Hashable, Sendable {
    var startMilliseconds: Int64
    /// The distance between two times, above 0.
    var stepMilliseconds: Int64
    var count: Int

    private static let countMaximum = 1 << 48

    /// One time.
    init(at milliseconds: Int64) {
        startMilliseconds = milliseconds
        stepMilliseconds = 1
        count = 1
    }

    /// All times from `start` to `end`; none when `end` lies before `start`.
    init(start: Int64, end: Int64, step: Int64) {
        startMilliseconds = start
        stepMilliseconds = max(1, step)
        let (length, isTooLong) = end.subtractingReportingOverflow(start)
        // More steps than anybody has memory for; who asks for the memory is told so.
        count = end < start ? 0 : isTooLong ? StepTimes.countMaximum : Int(length / stepMilliseconds) + 1
        count = min(count, StepTimes.countMaximum)
    }

    subscript(index: Int) -> Int64 { startMilliseconds &+ Int64(index) &* stepMilliseconds }

    /// The last time.
    var endMilliseconds: Int64 { self[max(0, count - 1)] }
}
