internal import Query
internal import Telemetry
internal import Transport
internal import Wire

/// `/api/v1/logs/lines` and `/api/v1/logs/context`: lines as a stream of JSON objects, one a line, oldest first,
/// however many there are (docs/formats/log-lines.md). What the command line reads.
struct LogLinesAPI: Sendable {
    let dependencies: ServerDependencies
    let runner: QueryRunner

    /// More lines around a hit are no context any more.
    private static let contextLinesMaximum = 10_000
    /// The newest lines, whose number the client names, are held in memory before they go out.
    private static let newestMaximum = 1_000_000

    /// Lines of a log query.
    func lines(_ request: ServerRequest) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        let text = try parameters.required("query")
        let range = try LokiSpan.range(parameters, nowNanoseconds: dependencies.wallClock.nowNanoseconds)
        let limit = try parameters.count("limit") ?? 0
        guard limit <= LogLinesAPI.newestMaximum else {
            let advice = "at most \(LogLinesAPI.newestMaximum); leave it out for all lines, which are streamed"
            throw APIFailure.invalid("limit", advice)
        }
        let filters = try parameters["event_filter"].map { try Engine.linePredicates($0) } ?? []
        let expansion = LineExpansion(
            before: try LogLinesAPI.contextLines("before", parameters),
            after: try LogLinesAPI.contextLines("after", parameters), joinsEvents: parameters["events"] == "true",
            eventFilters: try filters.map { try LineMatcher($0) }, source: dependencies.logSource)
        let engine = dependencies.engine()
        let description = QueryRunner.Description(kind: "log lines", text: text, of: request)
        let session = try runner.session(description)
        do {
            let source = try await session.step { context in
                limit == 0
                    ? LineSource.following(
                        try engine.openLines(text, range: range, limit: 0, direction: .forward, in: context), expansion)
                    : LineSource.newest(
                        limit,
                        of: try engine.openLines(
                            text, range: range, limit: expansion.isNothing ? limit : 0, direction: .backward,
                            in: context), expansion)
            }
            return LogLinesAPI.stream(source, session)
        } catch {
            session.end(failure: error)
            throw error
        }
    }

    /// The lines around one line of one stream.
    func context(_ request: ServerRequest) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        let selector = try parameters.required("query")
        guard let time = try parameters.lokiTime("time") else { throw APIFailure.invalid("time", "it is missing") }
        let before = try LogLinesAPI.contextLines("before", parameters)
        let after = try LogLinesAPI.contextLines("after", parameters)
        let engine = dependencies.engine()
        let source = dependencies.logSource
        let description = QueryRunner.Description(
            kind: "log context", text: selector, of: request)
        let session = try runner.session(description)
        do {
            let lines = try await session.step { context in
                // The first line at or behind the time, or the last one before it.
                let later = LogTimeRange(startNanoseconds: time, endNanoseconds: .max)
                let earlier = LogTimeRange(startNanoseconds: .min, endNanoseconds: time)
                let hit =
                    try engine.openLines(selector, range: later, limit: 1, direction: .forward, in: context).next()
                    ?? engine.openLines(selector, range: earlier, limit: 1, direction: .backward, in: context).next()
                guard let hit = hit?.first else { return LineSource.none }
                var expansion = LineExpansion(
                    before: before, after: after, joinsEvents: false, eventFilters: [], source: source)
                return LineSource.whole(try expansion.event(of: hit, in: context)?.lines ?? [])
            }
            return LogLinesAPI.stream(lines, session)
        } catch {
            session.end(failure: error)
            throw error
        }
    }

    private static func contextLines(_ name: String, _ parameters: RequestParameters) throws(APIFailure) -> Int {
        let count = try parameters.count(name) ?? 0
        guard count <= contextLinesMaximum else { throw .invalid(name, "at most \(contextLinesMaximum)") }
        return count
    }

    private static func stream(_ source: LineSource, _ session: QuerySession) -> ListenerResponse {
        session.beginAnswer()
        let type = HTTPField("Content-Type", "application/x-ndjson")
        return ListenerResponse(
            status: 200, fields: [type],
            body: .stream { target in
                var encoder = LineEncoder()
                do {
                    while let group = try await session.step({ try source.next(in: $0) }) {
                        for shown in group { encoder.add(shown) }
                        try await target.write(encoder.takePiece())
                    }
                    encoder.end(session)
                    try await target.write(encoder.takePiece())
                    session.end()
                } catch let error as ListenerDisconnected {
                    session.end(failure: CancellationError())
                    throw error
                } catch {
                    // The head is out: the stream itself says what happened.
                    session.end(failure: error)
                    encoder.fail(APIFailure(describing: error))
                    try await target.write(encoder.takePiece())
                }
            })
    }
}

/// A line as it is shown: found, part of a found event, or around one.
struct ShownLine: Sendable {
    /// Why it is shown.
    enum Role: String, Sendable {
        case match
        case event
        case context
        /// No line: what follows does not follow what is before.
        case gap
    }

    var line: LogLine
    var role: Role
}
