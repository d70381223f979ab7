internal import Agent
internal import Telemetry

/// What an agent's readings of this host cost in CPU time.
enum CollectBenchmark: Benchmark {
    static let name = "collect"
    static let about = "read this host and every container and service on it: CPU microseconds per reading"

    static func run(in folder: String) async throws -> [(what: String, figure: String)] {
        try await BlockingWork.perform {
            CollectionMeasurement.run(clock: SystemWallClock()).map { figure in
                (what: figure.what, figure: "\(BenchText.rate(figure.microseconds)) µs, \(figure.samples) samples")
            }
        }
    }
}
