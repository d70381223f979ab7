internal import Query
internal import Telemetry
internal import Transport
internal import Wire

/// `/loki/api/v1/labels`, `/label/<name>/values`, `/series`.
struct LokiSeriesAPI: Sendable {
    let dependencies: ServerDependencies
    let runner: QueryRunner

    private func requests(_ parameters: RequestParameters, _ names: [String]) throws -> [LogRequest] {
        let range = try LokiSpan.range(
            parameters, nowNanoseconds: dependencies.wallClock.nowNanoseconds,
            defaultSpanNanoseconds: LokiSpan.labelNanoseconds)
        var requests: [LogRequest] = []
        for name in names {
            for selector in parameters.all(name) where !selector.isEmpty {
                // Grafana asks so for the labels of everything.
                if selector.filter({ $0 != " " }) == "{}" { continue }
                do {
                    requests.append(LogRequest(matchers: try Engine.streamMatchers(selector), range: range))
                } catch {
                    throw APIFailure.invalid(name, error.description)
                }
            }
        }
        return requests.isEmpty ? [LogRequest(matchers: [], range: range)] : requests
    }

    /// The names of labels.
    func labels(_ request: ServerRequest) async throws -> ListenerResponse {
        try await names("labels", request) { source, request, context in
            try source.labelNames(request, in: context)
        }
    }

    /// The values of one label.
    func values(_ request: ServerRequest) async throws -> ListenerResponse {
        let name = request.capture("name")
        return try await names("label values", request) { source, request, context in
            try source.labelValues(name, request, in: context)
        }
    }

    private func names(
        _ kind: String, _ request: ServerRequest,
        _ ask: @escaping @Sendable (any LogSource, LogRequest, QueryContext) throws -> [String]
    ) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        let requests = try requests(parameters, ["query", "match[]"])
        let source = dependencies.logSource
        let acceptsGzip = request.acceptsGzip
        let description = QueryRunner.Description(
            kind: "log \(kind)", text: parameters["query"] ?? "", of: request)
        return try await runner.run(description) { context in
            var all = try requests.map { try ask(source, $0, context) }
            let found = all.count == 1 ? all.removeLast() : Set(all.joined()).sorted()
            return try PrometheusAnswer.list(count: found.count, elementBytes: 32, context: context) {
                $0.string(found[$1])
            }.response(acceptsGzip: acceptsGzip, in: context)
        }.value
    }

    /// The label sets of the streams that any selector matches.
    func series(_ request: ServerRequest) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        let requests = try requests(parameters, ["match[]", "match"])
        let source = dependencies.logSource
        let acceptsGzip = request.acceptsGzip
        let description = QueryRunner.Description(
            kind: "log series", text: parameters.all("match[]").joined(separator: " or "),
            of: request)
        return try await runner.run(description) { context in
            var all = try requests.map { try source.streams($0, in: context) }
            let found = all.count == 1 ? all.removeLast() : Set(all.joined()).sorted()
            return try PrometheusAnswer.list(count: found.count, elementBytes: 256, context: context) {
                $0.labels(found[$1])
            }.response(acceptsGzip: acceptsGzip, in: context)
        }.value
    }
}
