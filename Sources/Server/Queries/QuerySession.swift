internal import Synchronization
internal import Telemetry

/// A query that is read piece by piece at its client's pace: each piece on a thread of the query pool, and no
/// thread is held while the client takes its time. Listed, counted and killed like any other.
final class QuerySession: Sendable {
    /// Longer than other queries may run: how long this one takes is up to its client.
    static let timeoutMilliseconds: Int64 = 3_600_000

    let context: QueryContext
    private let runner: QueryRunner
    private let description: QueryRunner.Description
    private let id: UInt64
    private let start: Int64
    private let hasEnded = Atomic<Bool>(false)

    fileprivate init(_ runner: QueryRunner, _ description: QueryRunner.Description) {
        self.runner = runner
        self.description = description
        start = runner.clock.nowNanoseconds
        let timeout = QuerySession.timeoutMilliseconds
        let limits = QueryContext.Limits(
            bytes: runner.options.queryBytesMaximum, samples: runner.options.querySamplesMaximum,
            deadlineNanoseconds: start + timeout * 1_000_000, timeoutMilliseconds: timeout)
        context = QueryContext(limits: limits, clock: runner.clock, shared: runner.budget)
        id = runner.active.enter(
            kind: description.kind, text: description.text, principal: description.principal,
            monotonicNanoseconds: start, milliseconds: runner.wallClock.nowMilliseconds, context: context)
    }

    deinit {
        end(failure: CancellationError())
    }

    /// Nanoseconds since the query began.
    var nanoseconds: Int64 { runner.clock.nowNanoseconds - start }

    /// Runs one piece of the query on a query thread. Throws what the piece throws, as `APIFailure`.
    func step<Value: Sendable>(_ body: @escaping @Sendable (QueryContext) throws -> Value) async throws -> Value {
        let context = context
        do {
            return try await withTaskCancellationHandler {
                try await runner.pool.run {
                    try context.check()
                    return try body(context)
                }
            } onCancel: {
                context.cancel()
            }
        } catch let full as QueryPool.Full {
            throw APIFailure(.unavailable, full.description, retryAfterSeconds: 2)
        } catch {
            throw APIFailure(describing: error)
        }
    }

    /// The query is over; the first call counts.
    func end(failure: (any Error)? = nil) {
        guard !hasEnded.exchange(true, ordering: .relaxed) else { return }
        runner.active.leave(id)
        context.cancel()
        let described = failure.map { APIFailure(describing: $0) }
        runner.finish(
            description, context, nanoseconds: nanoseconds, failure: described?.kind.rawValue,
            words: described?.message ?? "")
    }
}

extension QueryRunner {
    /// A context without a deadline, for what goes on until somebody goes away.
    func unlimitedContext() -> QueryContext {
        QueryContext(limits: QueryContext.Limits(bytes: options.queryBytesMaximum), clock: clock)
    }

    /// Runs `body` as a query that is listed and can be killed; it blocks no thread.
    func listed(
        _ description: Description, _ context: QueryContext, _ body: () async throws -> Void
    ) async throws {
        let id = active.enter(
            kind: description.kind, text: description.text, principal: description.principal,
            monotonicNanoseconds: clock.nowNanoseconds, milliseconds: wallClock.nowMilliseconds, context: context)
        defer { active.leave(id) }
        try await body()
    }

    /// Admits a query that is read piece by piece. `end` it afterwards.
    func session(_ description: Description) throws(APIFailure) -> QuerySession {
        if let reason = memory.queryRefusal { throw APIFailure(.unavailable, reason, retryAfterSeconds: 5) }
        return QuerySession(self, description)
    }
}
