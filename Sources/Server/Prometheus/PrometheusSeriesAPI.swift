internal import Query
internal import Telemetry
internal import Transport
internal import Wire

/// `/api/v1/series`, `/labels`, `/label/<name>/values`, `/metadata`.
struct PrometheusSeriesAPI: Sendable {
    let dependencies: ServerDependencies
    let runner: QueryRunner

    /// What a request selects.
    private struct Selection: Sendable {
        let parameters: RequestParameters
        let limit: Int
        let start: Int64
        let end: Int64

        init(_ parameters: RequestParameters) throws(APIFailure) {
            self.parameters = parameters
            limit = try parameters.limit()
            start = try parameters.time("start") ?? TimeRange.all.startMilliseconds
            end = try parameters.time("end") ?? TimeRange.all.endMilliseconds
        }

        var text: String { parameters.all("match[]").joined(separator: " or ") }

        /// One series request for each `match[]`, or one for everything. Reads expressions: on a query's thread.
        func requests(namesParameter: Bool = false) throws(APIFailure) -> [SeriesRequest] {
            var matcherSets = try parameters.matcherSets(namesParameter: namesParameter)
            if matcherSets.isEmpty { matcherSets = [[]] }
            // Nothing lies between an end and a later start, and Prometheus says no more about it.
            guard start <= end else { return [] }
            let range = TimeRange(startMilliseconds: start, endMilliseconds: end)
            return matcherSets.map { SeriesRequest(matchers: $0, range: range) }
        }
    }

    private func description(
        _ kind: String, _ request: ServerRequest, _ selection: Selection
    ) -> QueryRunner.Description {
        QueryRunner.Description(kind: kind, text: selection.text, of: request)
    }

    private static func cut<Element>(
        _ elements: [Element], _ selection: Selection, _ context: QueryContext
    ) -> [Element] {
        guard selection.limit > 0, elements.count > selection.limit else { return elements }
        context.warn("results truncated due to limit")
        return Array(elements.prefix(selection.limit))
    }

    /// The label sets of the series that any selector matches.
    func series(_ request: ServerRequest) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        guard !parameters.all("match[]").isEmpty else {
            throw APIFailure(.badData, "no match[] parameter provided")
        }
        let selection = try Selection(parameters)
        let source = dependencies.seriesSource
        let acceptsGzip = request.acceptsGzip
        return try await runner.run(description("series", request, selection)) { context in
            let requests = try selection.requests(namesParameter: true)
            var all: Set<Labels> = []
            for request in requests.dropFirst() { all.formUnion(try source.series(request, in: context)) }
            let first = try requests.first.map { try source.series($0, in: context) } ?? []
            try context.check()
            let found = PrometheusSeriesAPI.cut(all.isEmpty ? first : all.union(first).sorted(), selection, context)
            let bytes = 16 + (found.first?.encoded.count ?? 0) * 2
            return try PrometheusAnswer.list(count: found.count, elementBytes: bytes, context: context) {
                $0.labels(found[$1])
            }.response(acceptsGzip: acceptsGzip, in: context)
        }.value
    }

    /// The names of labels.
    func labels(_ request: ServerRequest) async throws -> ListenerResponse {
        try await names("labels", request) { source, request, context in
            try source.labelNames(request, in: context)
        }
    }

    /// The values of one label.
    func values(_ request: ServerRequest) async throws -> ListenerResponse {
        let name = LabelName.unescaped(request.capture("name"))
        guard !name.isEmpty else { throw APIFailure(.badData, "invalid label name: \(QuotedText.quoted(name))") }
        return try await names("label values", request) { source, request, context in
            try source.labelValues(name, request, in: context)
        }
    }

    private func names(
        _ kind: String, _ request: ServerRequest,
        _ ask: @escaping @Sendable (any SeriesSource, SeriesRequest, QueryContext) throws -> [String]
    ) async throws -> ListenerResponse {
        let selection = try Selection(await request.parameters())
        let source = dependencies.seriesSource
        let acceptsGzip = request.acceptsGzip
        return try await runner.run(description(kind, request, selection)) { context in
            var all = try selection.requests().map { try ask(source, $0, context) }
            let merged = all.count == 1 ? all.removeLast() : Set(all.joined()).sorted()
            let found = PrometheusSeriesAPI.cut(merged, selection, context)
            return try PrometheusAnswer.list(count: found.count, elementBytes: 32, context: context) {
                $0.string(found[$1])
            }.response(acceptsGzip: acceptsGzip, in: context)
        }.value
    }

    /// What producers said about metrics: `limit` metrics, `limit_per_metric` entries of each.
    func metadata(_ request: ServerRequest) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        let limit = try parameters.number("limit") ?? .max
        let limitPerMetric = try parameters.number("limit_per_metric").flatMap { $0 == 0 ? nil : $0 } ?? .max
        let metric = parameters["metric"]
        let source = dependencies.seriesSource
        let acceptsGzip = request.acceptsGzip
        let description = QueryRunner.Description(
            kind: "metadata", text: metric ?? "", of: request)
        return try await runner.run(description) { context in
            let all = try source.metadata(metricName: metric, limit: 0, in: context)
            let byName = Dictionary(grouping: all) { $0.metricName }.sorted { $0.key < $1.key }.prefix(limit)
            let bytes = PrometheusAnswer.success { writer in
                writer.beginObject()
                for (name, entries) in byName {
                    writer.key(name)
                    writer.beginArray()
                    for entry in entries.prefix(limitPerMetric) {
                        writer.beginObject()
                        writer.member("type", entry.kind.rawValue)
                        writer.member("unit", entry.unit)
                        writer.member("help", entry.help)
                        writer.endObject()
                    }
                    writer.endArray()
                }
                writer.endObject()
            }
            return try ListenerResponse.compressedJSON(bytes, acceptsGzip: acceptsGzip, in: context)
        }.value
    }
}
