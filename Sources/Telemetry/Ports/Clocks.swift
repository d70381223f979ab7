/// Port: the time of day. It may jump; never measure with it.
public protocol WallClock: Sendable {
    /// Nanoseconds since 1970.
    var nowNanoseconds: Int64 { get }
}

extension WallClock {
    /// Milliseconds since 1970.
    public var nowMilliseconds: Int64 { nowNanoseconds / 1_000_000 }
}

/// Port: a clock that only rises and whose zero means nothing. For durations, deadlines, cooldowns.
public protocol MonotonicClock: Sendable {
    /// Nanoseconds since some fixed point.
    var nowNanoseconds: Int64 { get }
}
