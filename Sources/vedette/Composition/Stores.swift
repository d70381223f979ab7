internal import Disk
internal import LogStore
internal import Logging
internal import ServiceLifecycle
internal import TSDB
internal import Telemetry

/// The two stores of one data folder, and the lock that keeps a second process out of it.
struct Stores: Sendable {
    let metrics: MetricDatabase
    let logs: LogDatabase
    private let lock: FileLock

    /// Opens both, or says which could not be opened and why. Blocking.
    static func open(
        folder: String, _ metricOptions: MetricDatabaseOptions, memoryBytes: Int, logger: Logger
    ) throws -> Stores {
        let storage = SystemStorage()
        do {
            try storage.makeFolder(folder)
            let lock = try FileLock("\(folder)/lock", in: storage)
            var metricOptions = metricOptions
            metricOptions.headBytes = min(metricOptions.headBytes, memoryBytes / 4)
            metricOptions.pageCacheBytes = min(metricOptions.pageCacheBytes, memoryBytes / 8)
            metricOptions.indexCacheBytes = min(metricOptions.indexCacheBytes, memoryBytes / 8)
            let metrics = try MetricDatabase.open(
                storage: storage, folder: "\(folder)/metrics", options: metricOptions, wallClock: SystemWallClock())
            for finding in metrics.findings { logger.warning("metrics: \(finding)") }
            let logs = try LogDatabase.open(
                storage: storage, folder: "\(folder)/logs", wallClock: SystemWallClock())
            for quarantined in logs.quarantine {
                logger.warning("logs: \(quarantined.path): \(quarantined.reason)")
            }
            return Stores(metrics: metrics, logs: logs, lock: lock)
        } catch {
            throw CommandFailure("the data folder \(folder) cannot be opened: \(error)")
        }
    }
}

/// Closes the stores when everything that uses them has stopped.
struct StoresService: Service {
    let stores: Stores
    let logger: Logger

    func run() async throws {
        try? await gracefulShutdown()
        let stores = stores
        let logger = logger
        try await BlockingWork.perform {
            for (name, store) in [("metrics", stores.metrics as any StorageAdministration), ("logs", stores.logs)] {
                do {
                    try store.close()
                } catch {
                    logger.error(
                        "\(name) could not be closed in good order: \(error); what was acknowledged is on disk")
                }
            }
        }
    }
}
