internal import LogStore
internal import Logging
internal import ServiceLifecycle
internal import TSDB
internal import Telemetry

/// Tells whoever reads the log when a store begins to refuse new data, and when it takes it again: senders are told
/// with each refusal, but they are other people.
struct IngestWatch: Service {
    private static let intervalMilliseconds: UInt64 = 1_000

    let stores: Stores
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var isRefusing: [String: Bool] = [:]
            while !Task.isCancelled {
                for (name, health) in await health() { report(name, health, &isRefusing[name, default: false]) }
                try? await Task.sleep(nanoseconds: IngestWatch.intervalMilliseconds * 1_000_000)
            }
        }
    }

    private func health() async -> [(String, StorageHealth)] {
        let stores = stores
        let health = try? await BlockingWork.perform {
            [("metrics", stores.metrics.ingestHealth), ("logs", stores.logs.ingestHealth)]
        }
        return health ?? []
    }

    private func report(_ name: String, _ health: StorageHealth, _ isRefusing: inout Bool) {
        switch health {
        case .ready, .starting:
            if isRefusing { logger.info("\(name): new data is taken again") }
            isRefusing = false
        case .refusing(let reason):
            if !isRefusing { logger.warning("\(name): \(reason)") }
            isRefusing = true
        case .failed(let reason):
            if !isRefusing { logger.error("\(name): \(reason)") }
            isRefusing = true
        }
    }
}
