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
        folder: String, memoryBytes: Int, limits: StoreLimits, retention: Settings.Retention, logger: Logger
    ) throws -> Stores {
        let storage = SystemStorage()
        do {
            try storage.makeFolder(folder)
            let lock = try FileLock("\(folder)/lock", in: storage)
            let metrics = try MetricDatabase.open(
                storage: storage, folder: "\(folder)/metrics", options: metricOptions(memoryBytes, limits, retention),
                wallClock: SystemWallClock())
            tellStart(of: metrics, logger)
            let logs = try LogDatabase.open(
                storage: storage, folder: "\(folder)/logs", options: logOptions(memoryBytes, limits, retention),
                wallClock: SystemWallClock(), lineTransform: limits.redactsNumbers ? RedactingTransform() : nil)
            for finding in logs.findings { logger.warning("logs: \(finding)") }
            for quarantined in logs.quarantine {
                let isNamed = quarantined.reason.contains(quarantined.path)
                logger.warning("logs: \(isNamed ? "" : quarantined.path + ": ")\(quarantined.reason)")
            }
            return Stores(metrics: metrics, logs: logs, lock: lock)
        } catch {
            throw CommandFailure("the data folder \(folder) cannot be opened: \(error)")
        }
    }

    /// Tells what the start found, now and when the log is read back, which goes on while samples are taken.
    private static func tellStart(of metrics: MetricDatabase, _ logger: Logger) {
        let found = metrics.findings
        for finding in found { logger.warning("metrics: \(finding)") }
        metrics.whenReadBack { [weak metrics] in
            guard let metrics else { return }
            for finding in metrics.findings.dropFirst(found.count) { logger.warning("metrics: \(finding)") }
        }
    }

    /// A share of the process' memory, and what the owner allows.
    private static func metricOptions(
        _ memoryBytes: Int, _ limits: StoreLimits, _ retention: Settings.Retention
    ) -> MetricDatabaseOptions {
        var options = MetricDatabaseOptions()
        options.headBytes = min(options.headBytes, memoryBytes / 4)
        options.pageCacheBytes = min(options.pageCacheBytes, memoryBytes / 8)
        options.indexCacheBytes = min(options.indexCacheBytes, memoryBytes / 8)
        if let bytes = limits.metricsBytes { options.retentionBytes = UInt64(bytes) }
        if let series = limits.series { options.seriesMaximum = Int(series) }
        if let series = limits.seriesPerTarget { options.seriesPerTargetMaximum = Int(series) }
        if let series = limits.seriesPerMetric { options.seriesPerMetricMaximum = Int(series) }
        if let exemplars = limits.exemplars { options.exemplarsMaximum = Int(exemplars) }
        if let window = limits.outOfOrderMilliseconds { options.behindMilliseconds = window }
        options.retentionMilliseconds = retention.metricsMilliseconds
        options.reading = .besideAppends
        return options
    }

    private static func logOptions(
        _ memoryBytes: Int, _ limits: StoreLimits, _ retention: Settings.Retention
    ) -> LogStoreOptions {
        var options = LogStoreOptions()
        options.headBytesMaximum = min(options.headBytesMaximum, memoryBytes / 4)
        options.headBytesWaiting = min(options.headBytesWaiting, memoryBytes / 12)
        options.sealBytes = min(options.sealBytes, memoryBytes / 16)
        options.cacheBytesMaximum = min(options.cacheBytesMaximum, memoryBytes / 16)
        options.retentionMilliseconds = retention.logsMilliseconds
        if let bytes = limits.logsBytes { options.retentionBytes = Int(bytes) }
        if let streams = limits.logStreams { options.streamsMaximum = Int(streams) }
        if let bytes = limits.logStreamBytesPerSecond { options.streamBytesPerSecondMaximum = Int(bytes) }
        if let bytes = limits.logSourceBytesPerSecond { options.sourceBytesPerSecondMaximum = Int(bytes) }
        if let bytes = limits.logSenderBytesPerSecond { options.senderBytesPerSecondMaximum = Int(bytes) }
        if let streams = limits.logStreamsPerSource { options.sourceStreamsMaximum = Int(streams) }
        if let streams = limits.logStreamsPerSender { options.senderStreamsMaximum = Int(streams) }
        if let labels = limits.logLabels { options.labelsMaximum = Int(labels) }
        if let share = limits.logsSourceShare { options.sourceShareMaximum = share }
        return options
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
