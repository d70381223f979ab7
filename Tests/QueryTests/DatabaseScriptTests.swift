internal import Foundation
internal import Query
internal import TSDB
internal import Telemetry
internal import TestSupport
internal import Testing

/// Runs the scripts over the real metric database on a simulated disk, from the head and from sealed blocks.
struct DatabaseScriptTests {
    /// A database whose samples are sealed into blocks as soon as they are acknowledged, when asked to.
    private struct Store: SampleAppender, SeriesSource {
        let database: MetricDatabase
        let seals: Bool

        init(seals: Bool) throws {
            var options = MetricDatabaseOptions()
            options.behindMilliseconds = .max / 4
            options.reserveBytes = 4 << 10
            options.segmentBytes = 1 << 20
            database = try MetricDatabase.open(
                storage: SimulatedStorage(seed: 1), folder: "metrics", options: options, wallClock: ManualClock())
            self.seals = seals
        }

        func append(_ batch: SampleBatch) async throws -> AppendReceipt {
            let receipt = try await database.append(batch)
            if seals { try database.seal() }
            return receipt
        }

        func select(_ request: SeriesRequest, in context: QueryContext) throws -> [any SeriesCursor] {
            try database.select(request, in: context)
        }

        func series(_ request: SeriesRequest, in context: QueryContext) throws -> [Labels] {
            try database.series(request, in: context)
        }

        func labelNames(_ request: SeriesRequest, in context: QueryContext) throws -> [String] {
            try database.labelNames(request, in: context)
        }

        func labelValues(_ name: String, _ request: SeriesRequest, in context: QueryContext) throws -> [String] {
            try database.labelValues(name, request, in: context)
        }

        func metadata(metricName: String?, limit: Int, in context: QueryContext) throws -> [MetricMetadata] {
            try database.metadata(metricName: metricName, limit: limit, in: context)
        }
    }

    @Test(arguments: ScriptTests.scripts + ScriptTests.upstream, [false, true])
    func aScriptHoldsOverTheDatabase(path: String, seals: Bool) async throws {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let runner = ScriptRunner(clock: ManualClock()) { try Store(seals: seals) }
        let outcome = try await runner.run(text, file: URL(fileURLWithPath: path).lastPathComponent)
        #expect(outcome.passed > 0)
        #expect(outcome.failures.map(\.description) == [])
    }
}
