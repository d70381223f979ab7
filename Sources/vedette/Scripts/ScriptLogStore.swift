internal import Disk
internal import LogStore
internal import Telemetry

/// The log store of one script, in a folder of its own: the clock stands so late that no script's time lies ahead.
enum ScriptLogStore {
    /// Opens an empty store. Blocking.
    static func open(_ folder: String) throws -> LogDatabase {
        try LogDatabase.open(storage: SystemStorage(), folder: folder, wallClock: EndOfTime())
    }
}
