internal import Logging
internal import ServiceLifecycle
internal import Synchronization
internal import Telemetry

/// Drops what is older than its retention, now and every few minutes.
struct HousekeepingService: Service {
    /// How often; blocks are hours long, so more often would find nothing.
    static let intervalSeconds: UInt64 = 300

    let stores: Stores
    let settings: Settings
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await sweep()
                try? await Task.sleep(nanoseconds: HousekeepingService.intervalSeconds * 1_000_000_000)
            }
        }
    }

    private func sweep() async {
        let retention = settings.retention
        let now = SystemWallClock().nowMilliseconds
        let jobs: [(String, any StorageAdministration, Int64)] = [
            ("metrics", stores.metrics, retention.metricsMilliseconds),
            ("logs", stores.logs, retention.logsMilliseconds),
        ]
        for (name, store, milliseconds) in jobs where milliseconds > 0 {
            do {
                let freed = try await BlockingWork.perform {
                    try store.enforceRetention(retentionMilliseconds: milliseconds, nowMilliseconds: now)
                }
                if freed > 0 { logger.info("retention of \(name) freed \(ByteSizes.binary(Int64(freed)))") }
            } catch {
                logger.error("retention of \(name) failed: \(error); it is tried again in five minutes")
            }
        }
    }
}
