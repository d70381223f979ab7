package import Telemetry

/// What a followed log query delivers.
package enum LogTailEvent: Sendable {
    /// Lines that arrived and passed, maybe none, and the position behind them.
    case lines([LogLine], next: TailPosition)
    /// The reader was too slow or came too late: so many lines of this time were stored meanwhile and were not
    /// delivered. They can be read by a query.
    case missed(lines: Int, range: LogTimeRange, next: TailPosition)
}

/// A log query that is followed: lines in the order of arrival. Used by one task.
package struct LogTail: Sendable {
    private let subscription: any LogSubscription
    private var processor: LineProcessor

    init(_ subscription: any LogSubscription, _ processor: LineProcessor) {
        self.subscription = subscription
        self.processor = processor
    }

    /// Waits for the next event; nil when the store closes. Throws `CancellationError` when its task is cancelled.
    package mutating func next() async throws -> LogTailEvent? {
        switch try await subscription.next() {
        case nil: return nil
        case .missed(let lines, let range, let next): return .missed(lines: lines, range: range, next: next)
        case .lines(let buffer, let next):
            var lines: [LogLine] = []
            processor.forgetOrigins()
            _ = try processor.forEachLine(of: buffer) { line, origin in
                lines.append(LogLine(&line, origin))
                return true
            }
            return .lines(lines, next: next)
        }
    }
}

extension Engine {
    /// Follows a log query from `position` on; nil for what arrives from now on. Does not block.
    package func openTail(
        _ query: String, from position: TailPosition?, nowMilliseconds: Int64, in context: QueryContext
    ) throws -> LogTail {
        let run = try pipelineRun(query, nowMilliseconds: nowMilliseconds, context)
        let pushed = run.pushedDown
        let request = LogRequest(
            matchers: run.pipeline.matchers, range: .all, fragment: LogPlanFragment(linePredicates: pushed.predicates))
        return LogTail(try run.source.subscribe(request, from: position), run.processor(pushed.rest))
    }
}
