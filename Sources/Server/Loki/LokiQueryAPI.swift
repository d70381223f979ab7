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
    private static let shortTextBytesMaximum = 64 << 10

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
        let text = try parameters.required("query")
        if try await asksForLines(text, request, allowsEverything: allowsEverything) {
            return try await lines(
                request, text, range, direction: direction, limit: limit, intervalNanoseconds: interval)
        }
        let times = "from \(range.startNanoseconds) to \(range.endNanoseconds) by \(step)"
        return try await evaluate(request, text, direction, times) { engine, context in
            try engine.logRange(
                text, range: range, stepMilliseconds: max(1, step / 1_000_000), limit: limit, direction: direction,
                allowsEverything: allowsEverything, in: context)
        }
    }

    private func asksForLines(
        _ text: String, _ request: ServerRequest, allowsEverything: Bool
    ) async throws -> Bool {
        guard text.utf8.count > LokiQueryAPI.shortTextBytesMaximum else {
            return try !Engine.parseLogs(text, allowsEverything: allowsEverything).isMetric
        }
        // A query's thread reads long texts, and its budget pays for it.
        let description = QueryRunner.Description(kind: "logql", text: text, of: request)
        return try await runner.run(description) { _ in
            try !Engine.parseLogs(text, allowsEverything: allowsEverything).isMetric
        }.value
    }

    /// A metric query at one time.
    func instant(_ request: ServerRequest) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        let time = try parameters.lokiTime("time") ?? dependencies.wallClock.nowNanoseconds
        let limit = try parameters.count("limit") ?? LokiQueryAPI.linesDefault
        let direction = try LokiQueryAPI.direction(parameters)
        let allowsEverything = parameters["everything"] == "true"
        let text = try parameters.required("query")
        return try await evaluate(request, text, direction, "at \(time)") { engine, context in
            try engine.logInstant(
                text, atNanoseconds: time, limit: limit, direction: direction, allowsEverything: allowsEverything,
                in: context)
        }
    }

    private func evaluate(
        _ request: ServerRequest, _ text: String, _ direction: LogDirection, _ times: String,
        _ body: @escaping @Sendable (Engine, QueryContext) throws -> QueryValue
    ) async throws -> ListenerResponse {
        let engine = dependencies.engine()
        let clock = dependencies.monotonicClock
        let acceptsGzip = request.acceptsGzip
        let isCategorized = LokiQueryAPI.wantsCategories(request)
        let description = QueryRunner.Description(
            kind: "logql", text: text, of: request,
            sharingKey: "\(times), \(acceptsGzip), \(isCategorized), \(text)")
        return try await runner.answer(description) { context in
            let start = clock.nowNanoseconds
            let value = try body(engine, context)
            let answer = LokiAnswer.query(
                value, isCategorized: isCategorized, direction: direction, context: context,
                nanoseconds: clock.nowNanoseconds - start)
            return try answer.response(acceptsGzip: acceptsGzip, in: context)
        }
    }

    private static func wantsCategories(_ request: ServerRequest) -> Bool {
        (request.listener.fields["x-loki-response-encoding-flags"] ?? "").contains("categorize-labels")
    }

    // MARK: Lines

    /// Answers that are no longer stand in memory as a whole, so that each set of labels comes once.
    private static let firstPageBytes = 4 << 20

    /// What the first step of a query for lines gives.
    private enum FirstPage: Sendable {
        case whole(ListenerResponse)
        case beginning(LogLinePages, LogLinePages.Page)
    }

    private func lines(
        _ request: ServerRequest, _ text: String, _ range: LogTimeRange, direction: LogDirection, limit: Int,
        intervalNanoseconds: Int64
    ) async throws -> ListenerResponse {
        let engine = dependencies.engine()
        let description = QueryRunner.Description(kind: "logql", text: text, of: request)
        let (acceptsGzip, isCategorized) = (request.acceptsGzip, LokiQueryAPI.wantsCategories(request))
        let session = try runner.session(description)
        do {
            let outcome = try await session.step { context -> FirstPage in
                let reader = try engine.openLines(text, range: range, limit: limit, direction: direction, in: context)
                let pages = LogLinePages(reader, intervalNanoseconds: intervalNanoseconds)
                let first = try pages.next(bytes: LokiQueryAPI.firstPageBytes, in: context)
                guard first.isLast else { return .beginning(pages, first) }
                // Written on the thread that read them: a short search is over before another one would have woken.
                let answer = LokiAnswer.query(
                    .streams(first.lines.byLabels), isCategorized: isCategorized, direction: direction,
                    context: context, nanoseconds: session.nanoseconds)
                return .whole(try answer.response(acceptsGzip: acceptsGzip, in: context))
            }
            switch outcome {
            case .whole(let response):
                session.end()
                return response
            case .beginning(let pages, let first):
                session.beginAnswer()
                let stream = LokiLineStream(pages, first, session, isCategorized: isCategorized, direction: direction)
                return stream.response
            }
        } catch {
            session.end(failure: error)
            throw error
        }
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
}
