internal import Telemetry

/// A clock that stands behind every time a script may name.
struct EndOfTime: WallClock {
    let nowNanoseconds = Int64.max
}
