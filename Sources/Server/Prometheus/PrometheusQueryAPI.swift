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
        let start = try parameters.requiredTime("start")
        let end = try parameters.requiredTime("end")
        guard end >= start else {
            throw APIFailure.invalid("end", "end timestamp must not be before start time")
        }
        let step = try parameters.requiredDuration("step")
        guard step > 0 else {
            throw APIFailure.invalid(
                "step", "zero or negative query resolution step widths are not accepted. Try a positive integer")
        }
        try dependencies.engine().checkSteps(start: start, end: end, step: step)
        return try await evaluate(request, parameters, "from \(start) to \(end) by \(step)") { engine, text, context in
            try engine.range(text, startMilliseconds: start, endMilliseconds: end, stepMilliseconds: step, in: context)
        }
    }

    private func evaluate(
        _ request: ServerRequest, _ parameters: RequestParameters, _ times: String,
        _ body: @escaping @Sendable (Engine, String, QueryContext) throws -> QueryValue
    ) async throws -> ListenerResponse {
        let text = parameters["query"] ?? ""
        let limit = try parameters.limit()
        let lookback = try parameters.lookback()
        let statistics = parameters["stats"]
        var engine = dependencies.engine(lookbackMilliseconds: lookback)
        let profile = statistics.map { _ in QueryProfile() }
        engine.profile = profile
        let clock = dependencies.monotonicClock
        let start = clock.nowNanoseconds
        let acceptsGzip = request.acceptsGzip
        let timeout = try parameters.duration("timeout")
        // The text as it stands: remarks name places in it.
        let key = "\(times), \(limit), \(lookback ?? -1), \(timeout ?? -1), \(acceptsGzip), \(text)"
        let description = QueryRunner.Description(
            kind: "promql", text: text, of: request, timeoutMilliseconds: timeout,
            sharingKey: profile == nil ? key : nil)
        return try await runner.answer(description) { [engine] context in
            let begun = clock.nowNanoseconds
            let value: QueryValue
            do {
                value = try body(engine, text, context)
            } catch let error as QueryError where error.kind == .parse || error.kind == .parameters {
                throw APIFailure.invalid("query", error.description)
            }
            let times = profile.map { profile in
                QueryTimes(
                    queueNanoseconds: begun - start, evaluationNanoseconds: clock.nowNanoseconds - begun,
                    profile: profile, tellsAll: statistics == "all")
            }
            let cut = PrometheusQueryAPI.cut(value, to: limit, context)
            let answer = PrometheusAnswer.query(cut, context: context, statistics: times)
            return try answer.response(acceptsGzip: acceptsGzip, in: context)
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

    /// The canonical text of an expression, over several lines where it is long.
    func format(_ request: ServerRequest) async throws -> ListenerResponse {
        let text = try await parsed(request).pretty
        return .json(PrometheusAnswer.success { $0.string(text) })
    }

    /// The syntax tree of an expression.
    func tree(_ request: ServerRequest) async throws -> ListenerResponse {
        let expression = try await parsed(request)
        return .compressedJSON(
            PrometheusAnswer.success { ExpressionTree.write(expression, to: &$0) }, acceptsGzip: request.acceptsGzip)
    }

    private func parsed(_ request: ServerRequest) async throws -> Expression {
        let text = try await request.parameters()["query"] ?? ""
        do {
            return try Engine.parse(text)
        } catch {
            throw APIFailure.invalid("query", error.description)
        }
    }
}
