internal import Query
internal import Telemetry
internal import Transport
internal import Wire

/// `/loki/api/v1/query_range`, `/query`, `/format_query`.
struct LokiQueryAPI: Sendable {
    let dependencies: ServerDependencies
    let runner: QueryRunner

    /// Loki's default limit of lines.
    private static let linesDefault = 100

    /// Lines of a span, or a metric query at its steps.
    func range(_ request: ServerRequest) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        let range = try LokiSpan.range(parameters, nowNanoseconds: dependencies.wallClock.nowNanoseconds)
        let step = try LokiSpan.step(parameters, range)
        let interval = try parameters.lokiDuration("interval") ?? 0
        guard interval >= 0 else { throw APIFailure.invalid("interval", "it must not be negative") }
        let limit = try parameters.count("limit") ?? LokiQueryAPI.linesDefault
        let direction = try LokiQueryAPI.direction(parameters)
        let allowsEverything = parameters["everything"] == "true"
        return try await evaluate(request, parameters, direction) { engine, text, context in
            let value = try engine.logRange(
                text, range: range, stepMilliseconds: max(1, step / 1_000_000), limit: limit, direction: direction,
                allowsEverything: allowsEverything, in: context)
            return interval == 0 ? value : LokiQueryAPI.thinned(value, intervalNanoseconds: interval)
        }
    }

    /// A metric query at one time.
    func instant(_ request: ServerRequest) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        let time = try parameters.lokiTime("time") ?? dependencies.wallClock.nowNanoseconds
        let limit = try parameters.count("limit") ?? LokiQueryAPI.linesDefault
        let direction = try LokiQueryAPI.direction(parameters)
        let allowsEverything = parameters["everything"] == "true"
        return try await evaluate(request, parameters, direction) { engine, text, context in
            try engine.logInstant(
                text, atNanoseconds: time, limit: limit, direction: direction, allowsEverything: allowsEverything,
                in: context)
        }
    }

    private func evaluate(
        _ request: ServerRequest, _ parameters: RequestParameters, _ direction: LogDirection,
        _ body: @escaping @Sendable (Engine, String, QueryContext) throws -> QueryValue
    ) async throws -> ListenerResponse {
        let text = try parameters.required("query")
        let engine = dependencies.engine()
        let clock = dependencies.monotonicClock
        let acceptsGzip = request.acceptsGzip
        let flags = request.listener.fields["x-loki-response-encoding-flags"] ?? ""
        let description = QueryRunner.Description(kind: "logql", text: text, principal: request.principal.name)
        return try await runner.run(description) { context in
            let start = clock.nowNanoseconds
            let value = try body(engine, text, context)
            let answer = LokiAnswer.query(
                value, isCategorized: flags.contains("categorize-labels"), direction: direction, context: context,
                nanoseconds: clock.nowNanoseconds - start)
            return answer.response(acceptsGzip: acceptsGzip)
        }.value
    }

    /// The canonical text of an expression.
    func format(_ request: ServerRequest) async throws -> ListenerResponse {
        let text = try Engine.parseLogs(await request.parameters().required("query")).description
        return .json(PrometheusAnswer.success { $0.string(text) })
    }

    static func direction(_ parameters: RequestParameters) throws(APIFailure) -> LogDirection {
        switch parameters["direction"]?.lowercased() {
        case nil, "backward": return .backward
        case "forward": return .forward
        default: throw .invalid("direction", "use forward or backward")
        }
    }

    /// Of each stream only lines that are at least an interval apart.
    private static func thinned(_ value: QueryValue, intervalNanoseconds: Int64) -> QueryValue {
        guard case .streams(let streams) = value else { return value }
        return .streams(
            streams.map { stream in
                var result = StreamLines(labels: stream.labels, lines: [])
                for line in stream.lines {
                    if let last = result.lines.last, abs(line.nanoseconds - last.nanoseconds) < intervalNanoseconds {
                        continue
                    }
                    result.lines.append(line)
                }
                return result
            })
    }
}
