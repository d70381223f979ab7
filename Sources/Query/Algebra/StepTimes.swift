/// The times an expression is evaluated at: evenly spaced, at least one.
struct StepTimes: Hashable, Sendable {
    var startMilliseconds: Int64
    /// The distance between two times, above 0.
    var stepMilliseconds: Int64
    var count: Int

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
        count = end < start ? 0 : Int((end - start) / stepMilliseconds) + 1
    }

    subscript(index: Int) -> Int64 { startMilliseconds &+ Int64(index) &* stepMilliseconds }

    /// The last time.
    var endMilliseconds: Int64 { self[max(0, count - 1)] }
}
