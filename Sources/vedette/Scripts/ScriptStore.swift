internal import Disk
internal import TSDB
internal import Telemetry

/// The metric store of one script, in a folder of its own: everything a script loads is in order.
enum ScriptStore {
    /// Opens an empty store. Blocking.
    static func open(_ folder: String) throws -> MetricDatabase {
        var options = MetricDatabaseOptions()
        options.behindMilliseconds = .max / 4
        return try MetricDatabase.open(
            storage: SystemStorage(), folder: folder, options: options, wallClock: EndOfTime())
    }
}
