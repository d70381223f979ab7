internal import Disk
internal import TSDB
internal import Telemetry

/// The metric store of one script, in a folder of its own.
enum ScriptStore {
    /// The clock stands so late that no script's time lies in the future, and everything a script loads is in order.
    private struct EndOfTime: WallClock {
        let nowNanoseconds = Int64.max
    }

    /// Opens an empty store. Blocking.
    static func open(_ folder: String) throws -> MetricDatabase {
        var options = MetricDatabaseOptions()
        options.behindMilliseconds = .max / 4
        return try MetricDatabase.open(
            storage: SystemStorage(), folder: folder, options: options, wallClock: EndOfTime())
    }
}
