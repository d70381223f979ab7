internal import Synchronization
internal import Telemetry

/// A clock that moves only when a test says so. Serves as the time of day and as the monotonic clock.
package final class ManualClock: WallClock, MonotonicClock {
    private let now: Atomic<Int64>

    /// Starts at `nanoseconds`.
    package init(nanoseconds: Int64 = 1_700_000_000_000_000_000) {
        now = Atomic(nanoseconds)
    }

    package var nowNanoseconds: Int64 { now.load(ordering: .sequentiallyConsistent) }

    /// Moves by milliseconds; a negative number is a clock that jumps back.
    package func advance(milliseconds: Int64) {
        now.add(milliseconds * 1_000_000, ordering: .sequentiallyConsistent)
    }
}
