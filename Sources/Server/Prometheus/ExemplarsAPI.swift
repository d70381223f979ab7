internal import Query
internal import Telemetry
internal import Transport
internal import Wire

/// `/api/v1/query_exemplars`: what the series of a query point to, mostly traces.
struct ExemplarsAPI: Sendable {
    let dependencies: ServerDependencies
    let runner: QueryRunner

    /// The exemplars of every series that a selector in the query matches.
    func exemplars(_ request: ServerRequest) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        let start = try parameters.time("start") ?? TimeRange.all.startMilliseconds
        let end = try parameters.time("end") ?? TimeRange.all.endMilliseconds
        guard start <= end else {
            throw APIFailure(.badData, "end timestamp must not be before start timestamp")
        }
        let text = parameters["query"] ?? ""
        let selectors = try Engine.selectors(in: text)
        if selectors.isEmpty { return ListenerResponse(status: 204) }
        let range = TimeRange(startMilliseconds: start, endMilliseconds: end)
        let source = dependencies.exemplarSource
        let acceptsGzip = request.acceptsGzip
        let description = QueryRunner.Description(kind: "exemplars", text: text, of: request)
        return try await runner.run(description) { context in
            let found = try source?.exemplars(selectors: selectors, range: range, in: context) ?? []
            let bytes = 64 + (found.map(\.exemplars.count).max() ?? 0) * 128
            return try PrometheusAnswer.list(count: found.count, elementBytes: bytes, context: context) {
                ExemplarsAPI.write(found[$1], to: &$0)
            }.response(acceptsGzip: acceptsGzip, in: context)
        }.value
    }

    private static func write(_ series: SeriesExemplars, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("seriesLabels")
        writer.labels(series.labels)
        writer.key("exemplars")
        writer.beginArray()
        for exemplar in series.exemplars {
            writer.beginObject()
            writer.key("labels")
            writer.labels(exemplar.labels)
            writer.key("value")
            writer.sampleValue(exemplar.value)
            writer.key("timestamp")
            writer.sampleTime(milliseconds: exemplar.milliseconds)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
    }
}
