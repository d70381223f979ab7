internal import Glibc

/// The machine's time of day (`CLOCK_REALTIME`).
public struct SystemWallClock: WallClock {
    /// The one clock of the machine.
    public init() {}

    public var nowNanoseconds: Int64 { readClock(CLOCK_REALTIME) }
}

/// The machine's monotonic clock (`CLOCK_BOOTTIME`: it goes on while the machine sleeps, so cooldowns do too).
public struct SystemMonotonicClock: MonotonicClock {
    /// The one clock of the machine.
    public init() {}

    public var nowNanoseconds: Int64 { readClock(CLOCK_BOOTTIME) }
}

private func readClock(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}
