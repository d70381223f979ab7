/// A span of sample time in milliseconds since 1970, both ends included.
public struct TimeRange: Hashable, Sendable {
    /// The first millisecond.
    public var startMilliseconds: Int64
    /// The last millisecond.
    public var endMilliseconds: Int64

    /// A span; `end` before `start` is an empty span.
    @inlinable
    public init(startMilliseconds: Int64, endMilliseconds: Int64) {
        self.startMilliseconds = startMilliseconds
        self.endMilliseconds = endMilliseconds
    }

    /// Whether `milliseconds` lies within.
    @inlinable
    public func contains(_ milliseconds: Int64) -> Bool {
        startMilliseconds <= milliseconds && milliseconds <= endMilliseconds
    }

    /// Whether the two spans share a millisecond.
    @inlinable
    public func overlaps(_ other: TimeRange) -> Bool {
        startMilliseconds <= other.endMilliseconds && other.startMilliseconds <= endMilliseconds
    }

    /// All of time.
    public static let all = TimeRange(startMilliseconds: .min, endMilliseconds: .max)
}

/// A span of log time in nanoseconds since 1970: the start is included, the end is not, as in Loki.
public struct LogTimeRange: Hashable, Sendable {
    /// The first nanosecond.
    public var startNanoseconds: Int64
    /// The first nanosecond behind the span.
    public var endNanoseconds: Int64

    /// A span; `end` at or before `start` is an empty span.
    @inlinable
    public init(startNanoseconds: Int64, endNanoseconds: Int64) {
        self.startNanoseconds = startNanoseconds
        self.endNanoseconds = endNanoseconds
    }

    /// Whether `nanoseconds` lies within.
    @inlinable
    public func contains(_ nanoseconds: Int64) -> Bool {
        startNanoseconds <= nanoseconds && nanoseconds < endNanoseconds
    }

    /// Whether the span shares a nanosecond with the closed range `first...last`.
    @inlinable
    public func overlaps(first: Int64, last: Int64) -> Bool {
        startNanoseconds <= last && first < endNanoseconds
    }

    /// All of time but its last nanosecond.
    public static let all = LogTimeRange(startNanoseconds: .min, endNanoseconds: .max)
}
