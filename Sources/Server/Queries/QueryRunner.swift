internal import Telemetry
internal import Transport

/// Runs queries with limits: admitted, listed, killed when the client goes away, counted, and logged when slow.
final class QueryRunner: Sendable {
    /// What one query is, besides what it does.
    struct Description: Sendable {
        /// `promql`, `logql`, `labels` …
        var kind: String
        var text: String
        var principal: String
        /// Who shares its turns with nobody: the principal at one address.
        var client: String
        /// The client's own limit; the server's holds where it is shorter.
        var timeoutMilliseconds: Int64?
        /// Equal for queries whose answers are the same byte for byte, limits and rights included; nil when it is not
        /// known that they are.
        var sharingKey: String?

        /// A query that `request` asks for.
        init(
            kind: String, text: String, of request: ServerRequest, timeoutMilliseconds: Int64? = nil,
            sharingKey: String? = nil
        ) {
            self.kind = kind
            self.text = text
            principal = request.principal.name
            client = request.client
            self.timeoutMilliseconds = timeoutMilliseconds
            self.sharingKey = sharingKey
        }
    }

    let active = ActiveQueries()
    /// Equal queries that run at the same time.
    let flights = QueryFlights<ListenerResponse>()
    let budget: SharedQueryBudget
    let pool: QueryPool
    let options: ServerOptions
    let memory: MemoryGuard
    private let parallel = ParallelPool()
    /// How long a query that takes long works before it lets another one go on.
    private static let turnNanoseconds: Int64 = 200_000_000
    /// When a thread that helps a query asks again what only the query's own can do.
    private static let helperNanoseconds: Int64 = 1_000_000
    /// What reading an expression takes at most, for each of its bytes.
    private static let expressionBytesFactor = 64
    private let metrics: ServerMetrics
    let clock: any MonotonicClock
    let wallClock: any WallClock
    private let log: @Sendable (ServerLogEntry) -> Void

    init(_ dependencies: ServerDependencies, pool: QueryPool, memory: MemoryGuard, metrics: ServerMetrics) {
        self.pool = pool
        self.memory = memory
        self.metrics = metrics
        options = dependencies.options
        budget = SharedQueryBudget(maximumBytes: dependencies.options.queriesBytesMaximum)
        clock = dependencies.monotonicClock
        wallClock = dependencies.wallClock
        log = dependencies.log
    }

    /// As `run`, for one of several equal queries at a time: the others wait for its answer and get the same. Who
    /// leaves leaves alone; the query ends when nobody waits for it any more.
    func answer(
        _ description: Description, _ body: @escaping @Sendable (QueryContext) throws -> ListenerResponse
    ) async throws -> ListenerResponse {
        guard let key = description.sharingKey else { return try await run(description, body).value }
        do {
            return try await flights.answer("\(description.kind) \(description.principal) \(key)") { done in
                do {
                    let query = try self.admit(description)
                    self.begin(query, body) { done($0) }
                    return { query.cancel() }
                } catch {
                    done(.failure(error))
                    return {}
                }
            }
        } catch is CancellationError {
            throw APIFailure(.canceled, QueryInterruption.cancelled.description)
        }
    }

    /// Lets the helping threads end.
    func close() { parallel.close() }

    /// A query that was admitted: listed until it is over.
    final class Admitted: Sendable {
        let description: Description
        let context: QueryContext
        let startNanoseconds: Int64
        fileprivate let id: UInt64
        fileprivate let ticket: QueryPool.Ticket
        private let pool: QueryPool

        fileprivate init(
            _ description: Description, _ context: QueryContext, startNanoseconds: Int64, id: UInt64, pool: QueryPool
        ) {
            self.description = description
            self.context = context
            self.startNanoseconds = startNanoseconds
            self.id = id
            self.pool = pool
            ticket = pool.ticket(of: description.client)
        }

        /// Ends it, wherever it is.
        func cancel() {
            context.cancel()
            pool.withdraw(ticket)
        }
    }

    /// Runs `body` on a query thread. The context it gets carries the limits and takes warnings and statistics.
    func run<Value: Sendable>(
        _ description: Description, _ body: @escaping @Sendable (QueryContext) throws -> Value
    ) async throws -> (value: Value, context: QueryContext) {
        let query = try admit(description)
        let value = try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                begin(query, body) { continuation.resume(with: $0) }
                // Cancelled before it was begun: the handler found nothing to withdraw then.
                if Task.isCancelled { query.cancel() }
            }
        } onCancel: {
            query.cancel()
        }
        return (value, query.context)
    }

    /// Takes a query in, unless the process is short of memory. It must be begun.
    private func admit(_ description: Description) throws(APIFailure) -> Admitted {
        if let reason = memory.queryRefusal { throw APIFailure(.unavailable, reason, retryAfterSeconds: 5) }
        let timeout = min(description.timeoutMilliseconds ?? .max, options.queryTimeoutMilliseconds)
        let start = clock.nowNanoseconds
        let limits = QueryContext.Limits(
            bytes: options.queryBytesMaximum, samples: options.querySamplesMaximum,
            deadlineNanoseconds: start + timeout * 1_000_000, timeoutMilliseconds: timeout)
        let context = QueryContext(limits: limits, clock: clock, shared: budget, parallel: parallel)
        let id = active.enter(
            kind: description.kind, text: description.text, principal: description.principal,
            monotonicNanoseconds: start, milliseconds: wallClock.nowMilliseconds, context: context)
        return Admitted(description, context, startNanoseconds: start, id: id, pool: pool)
    }

    /// Begins a query; `done` is called once, on its thread or on this one.
    private func begin<Value: Sendable>(
        _ query: Admitted, _ body: @escaping @Sendable (QueryContext) throws -> Value,
        _ done: @escaping @Sendable (Result<Value, any Error>) -> Void
    ) {
        let textBytes = query.description.text.utf8.count
        let end: @Sendable (Result<Value, any Error>) -> Void = { [self] result in
            switch result {
            case .success:
                self.end(query)
                done(result)
            case .failure(let error): done(.failure(self.end(query, failure: error)))
            }
        }
        pool.submit(query.ticket, bytes: 2 * textBytes, isAdmitted: false) { [self] lease in
            end(
                Result {
                    try onThread(query.context, lease) { context in
                        try context.reserve(textBytes * QueryRunner.expressionBytesFactor)
                        defer { context.release(textBytes * QueryRunner.expressionBytesFactor) }
                        return try body(context)
                    }
                })
        } drop: {
            end(.failure($0))
        }
    }

    /// A query has its answer.
    private func end(_ query: Admitted) {
        active.leave(query.id)
        finish(
            query.description, query.context, nanoseconds: clock.nowNanoseconds - query.startNanoseconds, failure: nil)
    }

    /// A query has none; why, for the outside.
    private func end(_ query: Admitted, failure: any Error) -> APIFailure {
        active.leave(query.id)
        if let full = failure as? QueryPool.Full {
            finish(query.description, query.context, nanoseconds: 0, failure: "too many")
            return APIFailure(.unavailable, full.description, retryAfterSeconds: 2)
        }
        let described = APIFailure(describing: failure)
        finish(
            query.description, query.context, nanoseconds: clock.nowNanoseconds - query.startNanoseconds,
            failure: described.kind.rawValue, words: described.message)
        return described
    }

    /// Runs a piece of a query on a query thread, no longer than the calling task wants it. It holds `bytes` while it
    /// waits for a thread.
    func onThread<Value: Sendable>(
        _ context: QueryContext, of client: String, bytes: Int, isAdmitted: Bool,
        _ body: @escaping @Sendable (QueryContext) throws -> Value
    ) async throws -> Value {
        try await withTaskCancellationHandler {
            try await pool.runLeased(of: client, bytes: bytes, isAdmitted: isAdmitted) { [self] lease in
                try onThread(context, lease, body)
            }
        } onCancel: {
            context.cancel()
        }
    }

    /// Runs a query here, on a thread of the pool: together with others of its kind where it takes long.
    private func onThread<Value>(
        _ context: QueryContext, _ lease: QueryLease, _ body: (QueryContext) throws -> Value
    ) throws -> Value {
        context.whenStillRunning(afterNanoseconds: options.longQueryMilliseconds * 1_000_000) { context in
            guard lease.isHere else { return QueryRunner.helperNanoseconds }
            lease.becomeLong { context.mustEnd }
            return QueryRunner.turnNanoseconds
        }
        context.onCancel { lease.wake() }
        try context.check()
        return try body(context)
    }

    /// The process is over its cap of memory: ends the query that holds most of it.
    func endLargest() {
        guard let largest = active.entries.max(by: { $0.context.bytesHeld < $1.context.bytesHeld }) else { return }
        let bytes = largest.context.bytesHeld
        if bytes > 0 { largest.context.cancel(.overProcessMemory(bytes: bytes)) }
    }

    /// Counts what a query cost, and logs it when it was slow or failed.
    func finish(
        _ description: Description, _ context: QueryContext, nanoseconds: Int64, failure: String?, words: String = ""
    ) {
        let statistics = context.statistics
        metrics.queries.record(
            kind: description.kind, nanoseconds: nanoseconds, statistics: statistics, failure: failure)
        let milliseconds = nanoseconds / 1_000_000
        guard milliseconds >= options.slowQueryMilliseconds || (failure != nil && failure != "bad_data") else { return }
        log(
            ServerLogEntry(
                failure == nil ? .info : .warning, failure == nil ? "slow query" : "query without an answer",
                fields: [
                    ("kind", description.kind), ("query", String(description.text.prefix(2_000))),
                    ("principal", description.principal), ("milliseconds", String(milliseconds)),
                    ("series", String(statistics.seriesSelected)),
                    ("samples", String(statistics.samplesDecoded)), ("lines", String(statistics.linesScanned)),
                    ("read_bytes", String(statistics.bytesRead)), ("peak_bytes", String(context.bytesPeak)),
                    ("error", words),
                ].filter { !$0.1.isEmpty }))
    }
}
