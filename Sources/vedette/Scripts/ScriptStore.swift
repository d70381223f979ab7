internal import Disk
internal import TSDB
internal import Telemetry

/// A store for one script, in a folder of its own: the clock stands so late that no script's time lies in the future,
/// and everything a script loads is in order.
struct ScriptStore: SampleAppender, SeriesSource {
    private struct EndOfTime: WallClock {
        let nowNanoseconds = Int64.max / 2
    }

    private let database: MetricDatabase

    init(folder: String) throws {
        var options = MetricDatabaseOptions()
        options.behindMilliseconds = .max / 4
        database = try MetricDatabase.open(
            storage: SystemStorage(), folder: folder, options: options, wallClock: EndOfTime())
    }

    func append(_ batch: SampleBatch) async throws -> AppendReceipt { try await database.append(batch) }

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
