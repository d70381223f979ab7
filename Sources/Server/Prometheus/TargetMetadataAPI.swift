internal import Query
internal import Telemetry
internal import Transport
internal import Wire

/// `GET /api/v1/targets/metadata`: what the targets said about the metrics they have.
struct TargetMetadataAPI: Sendable {
    let dependencies: ServerDependencies
    let runner: QueryRunner

    /// What a target says about one of its metrics.
    private struct Entry {
        var target: Labels
        var metadata: MetricMetadata
    }

    /// Families whose series have another name than what their metadata are about.
    private static let seriesEndings = ["", "_total", "_bucket", "_count", "_sum", "_info"]

    /// Of the targets that `match_target` selects, `metric` or everything, until there are `limit` entries.
    func metadata(_ request: ServerRequest) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        let limit = try parameters.number("limit") ?? .max
        let matchers: [LabelMatcher]
        do {
            matchers = try parameters["match_target"].map(Engine.matchers) ?? []
        } catch {
            throw APIFailure.invalid("match_target", error.description)
        }
        let metric = parameters["metric"]
        let targets = (dependencies.targets?.activeTargets ?? []).map(\.labels)
        let wanted = targets.filter { target in matchers.allSatisfy { $0.matches(target) } }
        let source = dependencies.seriesSource
        let now = dependencies.wallClock.nowMilliseconds
        let range = TimeRange(
            startMilliseconds: now - dependencies.engineOptions.lookbackMilliseconds, endMilliseconds: now)
        let acceptsGzip = request.acceptsGzip
        let description = QueryRunner.Description(
            kind: "metadata", text: parameters["match_target"] ?? "", of: request)
        return try await runner.run(description) { context in
            let known = try source.metadata(metricName: metric, limit: 0, in: context)
            var entries: [Entry] = []
            for target in wanted where entries.count < limit {
                let own = target.pairs.map { LabelMatcher.equal($0.name, $0.value) }
                let request = SeriesRequest(matchers: own, range: range)
                let names = Set(try source.labelValues(Labels.metricNameLabel, request, in: context))
                entries += known.filter { metadata in
                    TargetMetadataAPI.seriesEndings.contains { names.contains(metadata.metricName + $0) }
                }.map { Entry(target: target, metadata: $0) }
            }
            let bytes = TargetMetadataAPI.answer(entries, namesMetrics: metric == nil)
            return try ListenerResponse.compressedJSON(bytes, acceptsGzip: acceptsGzip, in: context)
        }.value
    }

    private static func answer(_ entries: [Entry], namesMetrics: Bool) -> [UInt8] {
        PrometheusAnswer.success { writer in
            writer.beginArray()
            for entry in entries {
                writer.beginObject()
                writer.key("target")
                writer.labels(entry.target)
                if namesMetrics { writer.member("metric", entry.metadata.metricName) }
                writer.member("type", entry.metadata.kind.rawValue)
                writer.member("help", entry.metadata.help)
                writer.member("unit", entry.metadata.unit)
                writer.endObject()
            }
            writer.endArray()
        }
    }
}
