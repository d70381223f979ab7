internal import Synchronization
internal import Telemetry

/// A query that is read piece by piece at its client's pace: each piece on a thread of the query pool, and no
/// thread is held while the client takes its time. Listed, counted and killed like any other.
final class QuerySession: Sendable {
    /// Longer than other queries may run: how long this one takes, once its answer has begun, is up to its client.
    private static let timeoutMilliseconds: Int64 = 3_600_000

    let context: QueryContext
    private let runner: QueryRunner
    private let description: QueryRunner.Description
    private let id: UInt64
    private let start: Int64
    private let hasEnded = Atomic<Bool>(false)
    private let isAdmitted = Atomic<Bool>(false)

    fileprivate init(_ runner: QueryRunner, _ description: QueryRunner.Description) {
        self.runner = runner
        self.description = description
        start = runner.clock.nowNanoseconds
        let timeout = min(description.timeoutMilliseconds ?? .max, runner.options.queryTimeoutMilliseconds)
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
        do {
            let isAdmitted = isAdmitted.exchange(true, ordering: .relaxed)
            return try await runner.onThread(
                context, of: description.client, bytes: 2 * description.text.utf8.count, isAdmitted: isAdmitted, body)
        } catch let full as QueryPool.Full {
            throw APIFailure(.unavailable, full.description, retryAfterSeconds: 2)
        } catch {
            throw APIFailure(describing: error)
        }
    }

    /// The first part of the answer is there: from now on the client's pace counts, not the query's.
    func beginAnswer() {
        context.extendDeadline(toNanoseconds: start + QuerySession.timeoutMilliseconds * 1_000_000)
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
