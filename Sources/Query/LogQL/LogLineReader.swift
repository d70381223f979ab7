package import Telemetry

/// The answer of a log query as it is read: lines in time order over all streams, run by run, however many there are.
/// Used by one thread at a time; memory is that of one run.
package final class LogLineReader {
    private let cursor: any LogCursor
    private let context: QueryContext
    private var processor: LineProcessor
    private var buffer = LogLineBuffer()
    private var remaining: Int

    init(cursor: any LogCursor, processor: LineProcessor, limit: Int, context: QueryContext) {
        self.cursor = cursor
        self.processor = processor
        self.context = context
        remaining = limit == 0 ? .max : limit
    }

    /// The next lines, at least one; nil at the end. Blocks on disk.
    package func next() throws -> [LogLine]? {
        var lines: [LogLine] = []
        while lines.isEmpty, remaining > 0 {
            try context.check()
            guard try cursor.next(into: &buffer) else { return nil }
            _ = try processor.forEachLine(of: buffer) { line, origin in
                lines.append(LogLine(&line, origin))
                remaining -= 1
                return remaining > 0
            }
        }
        return lines.isEmpty ? nil : lines
    }
}

extension Engine {
    /// Opens a log query to read its lines one run after the other, at most `limit` of them (0: all). Its selector
    /// may be `{}`.
    package func openLines(
        _ query: String, range: LogTimeRange, limit: Int, direction: LogDirection, in context: QueryContext
    ) throws -> LogLineReader {
        let run = try pipelineRun(query, nowMilliseconds: range.endNanoseconds / 1_000_000, context)
        let (cursor, processor) = try run.open(range: range, limit: limit, direction: direction)
        return LogLineReader(cursor: cursor, processor: processor, limit: limit, context: context)
    }

    /// What a store is asked for the lines of a query whose filters it can do all by itself; nil for other queries.
    package func lineRequest(_ query: String, range: LogTimeRange, in context: QueryContext) throws -> LogRequest? {
        let run = try pipelineRun(query, nowMilliseconds: range.endNanoseconds / 1_000_000, context)
        let pushed = run.pushedDown
        guard pushed.isWhole else { return nil }
        var fragment = LogPlanFragment(linePredicates: pushed.predicates)
        fragment.severities = pushed.severities
        return LogRequest(matchers: run.pipeline.matchers, range: range, fragment: fragment)
    }

    /// The pipeline of a query that asks for lines; any other is refused.
    func pipelineRun(
        _ query: String, nowMilliseconds: Int64, _ context: QueryContext
    ) throws(QueryError) -> PipelineRun {
        guard let logs else { throw QueryError(.execution, "there is no log store here") }
        guard case .lines(let pipeline) = try LogQLParser.expression(query, allowsEverything: true) else {
            throw QueryError(
                .parameters, "only a query that asks for lines can be read here, not one that counts or calculates")
        }
        return PipelineRun(source: logs, context: context, pipeline: pipeline, nowMilliseconds: nowMilliseconds)
    }
}
