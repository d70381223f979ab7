/// One micro-benchmark: a name, what it measures, and lines of figures.
protocol Benchmark: Sendable {
    static var name: String { get }
    static var about: String { get }
    /// Runs and returns figures as "what, figure" pairs. Works in `folder`, which is empty.
    static func run(in folder: String) async throws -> [(what: String, figure: String)]
}

/// The benchmarks of `vedette bench`.
enum Benchmarks {
    /// The only place a benchmark is listed.
    static let all: [any Benchmark.Type] = [
        CodecBenchmark.self,
        CollectBenchmark.self,
        LineIngestBenchmark.self,
        LogBenchmark.self,
        QueryBenchmark.self,
        RestartBenchmark.self,
        SampleIngestBenchmark.self,
    ]
}
