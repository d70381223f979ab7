internal import Query
internal import Synchronization
internal import Telemetry
internal import Transport
internal import Wire

/// `/loki/api/v1/tail`: a log query that is followed. Over a WebSocket as Loki has it; without one the same
/// messages come as lines of an answer that does not end, so that `curl -N` and the command line can follow, too.
///
/// Every message tells the `cursor` behind its lines. A reader that was cut off, by whomever, comes back with
/// `cursor=…` and goes on from there, also after the server was restarted; one that was too slow is told what it
/// missed.
struct LokiTailAPI: Sendable {
    let dependencies: ServerDependencies
    let runner: QueryRunner
    let tails: LongPolls

    /// Loki's default of lines that are sent before what arrives.
    private static let linesDefault = 100
    private static let linesMaximum = 100_000
    /// Loki allows no longer delay.
    private static let delaySecondsMaximum: Int64 = 5
    /// Lines that were there before may arrive as new ones within this time.
    private static let overlapNanoseconds: Int64 = 30_000_000_000

    /// What a client asked for.
    private struct Demand: Sendable {
        let query: String
        /// Where to go on; nil for a first visit.
        let cursor: TailPosition?
        /// The lines before, and how many of them.
        let start: Int64?
        let limit: Int
        let delayNanoseconds: Int64
        let isCategorized: Bool
    }

    /// Follows a query.
    func tail(_ request: ServerRequest) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        let demand = try LokiTailAPI.demand(request, parameters, nowNanoseconds: dependencies.wallClock.nowNanoseconds)
        let description = QueryRunner.Description(kind: "tail", text: demand.query, of: request)
        let context = runner.unlimitedContext()
        let engine = dependencies.engine()
        let now = dependencies.wallClock.nowNanoseconds
        // From here on everything that arrives is kept for this reader, also while it reads what was before.
        let tail = try engine.openTail(demand.query, from: demand.cursor, nowMilliseconds: now / 1_000_000, in: context)
        let deliver: @Sendable (@escaping @Sendable ([UInt8]) async throws -> Void) async throws -> Void = { send in
            try await runner.listed(description, context) {
                let outcome = await tails.run { () -> Result<Void, any Error> in
                    do {
                        return .success(try await follow(tail, demand, description, now: now, context, send))
                    } catch is CancellationError {
                        // The server leaves, or the reader has left.
                        return .success(())
                    } catch {
                        return .failure(error)
                    }
                }
                // Nil: the server leaves, and the reader comes back when there is one again.
                try outcome?.get()
            }
        }
        if request.listener.asksForWebSocket {
            return ListenerResponse(
                status: 101, body: .webSocket { target in try await deliver { try await target.send($0) } })
        }
        let type = HTTPField("Content-Type", "application/x-ndjson")
        return ListenerResponse(
            status: 200, fields: [type],
            body: .stream { target in try await deliver { try await target.write($0 + [0x0a]) } })
    }

    private static func demand(
        _ request: ServerRequest, _ parameters: RequestParameters, nowNanoseconds: Int64
    ) throws -> Demand {
        let delay = try parameters.count("delay_for") ?? 0
        guard delay <= delaySecondsMaximum else {
            throw APIFailure.invalid("delay_for", "it can not be greater than \(delaySecondsMaximum)")
        }
        let limit = try parameters.count("limit") ?? linesDefault
        guard limit <= linesMaximum else { throw APIFailure.invalid("limit", "at most \(linesMaximum)") }
        var cursor: TailPosition?
        if let text = parameters["cursor"] {
            guard let number = UInt64(text) else {
                throw APIFailure.invalid("cursor", "it is a number that a message of a tail told")
            }
            cursor = TailPosition(rawValue: number)
        }
        let flags = request.listener.fields["x-loki-response-encoding-flags"] ?? ""
        return Demand(
            query: try parameters.required("query"), cursor: cursor,
            start: try parameters.lokiTime("start") ?? parameters.lokiDuration("since").map { nowNanoseconds - $0 },
            limit: limit, delayNanoseconds: Int64(delay) * 1_000_000_000,
            isCategorized: flags.contains("categorize-labels"))
    }

    /// What was before, then what arrives, until the reader or the server goes away.
    private func follow(
        _ tail: LogTail, _ demand: Demand, _ description: QueryRunner.Description, now: Int64,
        _ context: QueryContext, _ send: @Sendable ([UInt8]) async throws -> Void
    ) async throws {
        var tail = tail
        var seen = SeenLines()
        if demand.cursor == nil, demand.limit > 0 {
            let lines = try await before(demand, description, now: now)
            for line in lines { seen.note(line) }
            if !lines.isEmpty {
                try await send(TailMessage(lines: lines, isCategorized: demand.isCategorized).json)
            }
        }
        let oldest = dependencies.monotonicClock.nowNanoseconds
        while let event = try await tail.next() {
            try context.check()
            // What arrives meanwhile waits in the store, and comes in one message in the order of its times.
            if demand.delayNanoseconds > 0 { try await Task.sleep(nanoseconds: UInt64(demand.delayNanoseconds)) }
            if !seen.isEmpty, dependencies.monotonicClock.nowNanoseconds - oldest > LokiTailAPI.overlapNanoseconds {
                seen = SeenLines()
            }
            var message = TailMessage(lines: [], isCategorized: demand.isCategorized)
            switch event {
            case .lines(let lines, let next):
                message.lines = seen.isEmpty ? lines : lines.filter { !seen.takes($0) }
                message.cursor = next
                // Nothing that is asked for: the cursor moves with the next line.
                if message.lines.isEmpty { continue }
                if demand.delayNanoseconds > 0 { message.lines.sort { $0.nanoseconds < $1.nanoseconds } }
            case .missed(let lines, let range, let next):
                message.cursor = next
                message.missed = (lines, range)
            }
            try await send(message.json)
        }
    }

    /// The newest lines that were there when the tail began.
    private func before(
        _ demand: Demand, _ description: QueryRunner.Description, now: Int64
    ) async throws -> [LogLine] {
        let start = demand.start ?? now - LokiSpan.queryNanoseconds
        let engine = dependencies.engine()
        let (query, limit) = (demand.query, demand.limit)
        // Lines may be stamped a little ahead of this machine's clock.
        let range = LogTimeRange(startNanoseconds: start, endNanoseconds: now &+ 600_000_000_000)
        return try await runner.run(description) { context in
            let reader = try engine.openLines(query, range: range, limit: limit, direction: .backward, in: context)
            var lines: [LogLine] = []
            while let more = try reader.next() { lines += more }
            return lines.reversed()
        }.value
    }
}

/// Lines that were sent before the tail began, so that those which arrived in between do not come twice.
private struct SeenLines {
    private struct Key: Hashable {
        let labels: Labels
        let nanoseconds: Int64
        let text: [UInt8]
    }

    private var counts: [Key: Int] = [:]

    var isEmpty: Bool { counts.isEmpty }

    mutating func note(_ line: LogLine) {
        counts[Key(labels: line.labels, nanoseconds: line.nanoseconds, text: line.text), default: 0] += 1
    }

    /// Whether a line was sent before; it counts once for each time.
    mutating func takes(_ line: LogLine) -> Bool {
        let key = Key(labels: line.labels, nanoseconds: line.nanoseconds, text: line.text)
        guard let count = counts[key] else { return false }
        counts[key] = count > 1 ? count - 1 : nil
        return true
    }
}
