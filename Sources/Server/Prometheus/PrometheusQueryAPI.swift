internal import Query
internal import Telemetry
internal import Transport
internal import Wire

/// `/api/v1/query`, `/query_range`, `/format_query`, `/parse_query`.
struct PrometheusQueryAPI: Sendable {
    let dependencies: ServerDependencies
    let runner: QueryRunner

    /// Evaluates at one time.
    func instant(_ request: ServerRequest) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        let time = try parameters.time("time") ?? dependencies.wallClock.nowMilliseconds
        return try await evaluate(request, parameters, "at \(time)") { engine, text, context in
            try engine.instant(text, atMilliseconds: time, in: context)
        }
    }

    /// Evaluates at the steps of a range.
    func range(_ request: ServerRequest) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        guard let start = try parameters.time("start") else { throw APIFailure.invalid("start", "it is missing") }
        guard let end = try parameters.time("end") else { throw APIFailure.invalid("end", "it is missing") }
        guard end >= start else {
            throw APIFailure.invalid("end", "end timestamp must not be before start time")
        }
        guard let step = try parameters.duration("step") else { throw APIFailure.invalid("step", "it is missing") }
        guard step > 0 else {
            throw APIFailure.invalid(
                "step", "zero or negative query resolution step widths are not accepted. Try a positive integer")
        }
        return try await evaluate(request, parameters, "from \(start) to \(end) by \(step)") { engine, text, context in
            try engine.range(text, startMilliseconds: start, endMilliseconds: end, stepMilliseconds: step, in: context)
        }
    }

    private func evaluate(
        _ request: ServerRequest, _ parameters: RequestParameters, _ times: String,
        _ body: @escaping @Sendable (Engine, String, QueryContext) throws -> QueryValue
    ) async throws -> ListenerResponse {
        let text = try parameters.required("query")
        let limit = try parameters.count("limit") ?? 0
        let lookback = try parameters.duration("lookback_delta")
        let statistics = parameters["stats"]
        var engine = dependencies.engine(lookbackMilliseconds: lookback)
        let profile = statistics.map { _ in QueryProfile() }
        engine.profile = profile
        let clock = dependencies.monotonicClock
        let start = clock.nowNanoseconds
        let acceptsGzip = request.acceptsGzip
        let timeout = try parameters.duration("timeout")
        // However it is written, it is the same query.
        let expression = (try? Engine.parse(text).description) ?? text
        let key = "\(times), \(limit), \(lookback ?? -1), \(timeout ?? -1), \(acceptsGzip), \(expression)"
        let description = QueryRunner.Description(
            kind: "promql", text: text, principal: request.principal.name, timeoutMilliseconds: timeout,
            sharingKey: profile == nil ? key : nil)
        return try await runner.answer(description) { [engine] context in
            let begun = clock.nowNanoseconds
            let value: QueryValue
            do {
                value = try body(engine, text, context)
            } catch let error as QueryError where error.kind == .parse {
                throw APIFailure.invalid("query", error.description)
            }
            let times = profile.map { profile in
                QueryTimes(
                    queueNanoseconds: begun - start, evaluationNanoseconds: clock.nowNanoseconds - begun,
                    profile: profile, tellsAll: statistics == "all")
            }
            let cut = PrometheusQueryAPI.cut(value, to: limit, context)
            let answer = PrometheusAnswer.query(cut, context: context, statistics: times)
            return answer.response(acceptsGzip: acceptsGzip)
        }
    }

    private static func cut(_ value: QueryValue, to limit: Int, _ context: QueryContext) -> QueryValue {
        guard limit > 0 else { return value }
        switch value {
        case .vector(let points) where points.count > limit:
            context.warn("results truncated due to limit")
            return .vector(Array(points.prefix(limit)))
        case .matrix(let series) where series.count > limit:
            context.warn("results truncated due to limit")
            return .matrix(Array(series.prefix(limit)))
        default: return value
        }
    }

    /// The canonical text of an expression.
    func format(_ request: ServerRequest) async throws -> ListenerResponse {
        let text = try await parsed(request).description
        return .json(PrometheusAnswer.success { $0.string(text) })
    }

    private func parsed(_ request: ServerRequest) async throws -> Expression {
        let text = try await request.parameters().required("query")
        do {
            return try Engine.parse(text)
        } catch {
            throw APIFailure.invalid("query", error.description)
        }
    }
}
