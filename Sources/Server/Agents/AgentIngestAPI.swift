internal import Alerting
internal import Telemetry
internal import Transport
internal import Wire

/// `POST /agent/v1/batch`: samples, lines and events from agents (DESIGN D10, docs/formats/agent-protocol.md).
///
/// 200 with the verdict `stored` means fsynced. Whatever the status, an answer of this route carries an `AgentReply`.
struct AgentIngestAPI: Sendable {
    let dependencies: ServerDependencies
    let memory: MemoryGuard
    let metrics: ServerMetrics
    let dictionaries: SeriesDictionaries

    /// What storing gave.
    private struct Outcome {
        var reply: AgentReply
        var signal: IngestCounters.Signal
        var duplicates = 0
    }

    /// Stores one batch.
    func batch(_ request: ServerRequest) async throws -> ListenerResponse {
        if let reason = memory.ingestRefusal { return AgentIngestAPI.later(429, reason, seconds: 5) }
        let body: [UInt8]
        do {
            body = try await request.listener.body.collect(upTo: AgentProtocol.bodyBytesMaximum)
        } catch let failure as ListenerBodyFailure {
            // What is too long once is too long for ever; everything else is worth another try.
            let isTooLong = failure.status == 413
            let reply = AgentReply(
                verdict: isTooLong ? .refused : .later, marks: DeliveryMarks(synced: 0, archived: 0),
                retryAfterSeconds: isTooLong ? 0 : 1, reason: failure.description)
            return AgentIngestAPI.response(failure.status, reply)
        }
        let start = dependencies.monotonicClock.nowNanoseconds
        let now = dependencies.wallClock.nowNanoseconds
        let decoded: AgentBatchDecoder.Decoded
        let dictionary: SeriesDictionary
        do {
            (decoded, dictionary) = try decode(body)
        } catch {
            return refuse(error, bytes: body.count, nanoseconds: dependencies.monotonicClock.nowNanoseconds - start)
        }
        let batch = decoded.batch
        do {
            try await dependencies.checkAgent(batch.information.agent, request.listener, mayBeUnbound: true)
        } catch {
            // The agent keeps what it has: an operator may mend this.
            return AgentIngestAPI.later(error.kind.status, error.message, seconds: error.retryAfterSeconds ?? 30)
        }
        let isNews = dependencies.agents.saw(
            batch.information, nowNanoseconds: now, remoteAddress: request.listener.remoteAddress)
        do {
            var outcome = try await store(decoded, dictionary)
            if dependencies.alerting.hasCommands {
                let agent = batch.information.agent
                outcome.reply.hasCommands = !dependencies.alerting.pendingCommands(for: agent).isEmpty
                // It may have asked before anybody knew for which node.
                if isNews, outcome.reply.hasCommands { dependencies.alerting.wakeForCommands(agent) }
            }
            metrics.ingest.record(
                outcome.signal, verdict: "stored", accepted: outcome.reply.accepted, rejected: outcome.reply.rejected,
                duplicates: outcome.duplicates, bytes: body.count,
                nanoseconds: dependencies.monotonicClock.nowNanoseconds - start)
            return AgentIngestAPI.response(200, outcome.reply)
        } catch {
            let (status, reply) = AgentIngestAPI.reply(describing: error)
            metrics.ingest.record(
                batch.signal.counted, verdict: reply.verdict == .refused ? "refused" : "later", bytes: body.count,
                nanoseconds: dependencies.monotonicClock.nowNanoseconds - start)
            dependencies.log(
                ServerLogEntry(
                    .warning, "agent batch not stored",
                    fields: [("node", batch.information.node), ("error", reply.reason)]))
            return AgentIngestAPI.response(status, reply)
        }
    }

    private func decode(
        _ body: [UInt8]
    ) throws(AgentProtocolError) -> (AgentBatchDecoder.Decoded, SeriesDictionary) {
        let result = body.withUnsafeBytes { raw in
            Result { () throws(AgentProtocolError) in
                let decoder = try AgentBatchDecoder(raw)
                let sender = decoder.delivery.sender
                let dictionary = dictionaries.dictionary(agent: sender.agent, epoch: sender.epoch)
                return (try decoder.batch(resolving: dictionary), dictionary)
            }
        }
        return try result.get()
    }

    private func store(
        _ decoded: AgentBatchDecoder.Decoded, _ dictionary: SeriesDictionary
    ) async throws -> Outcome {
        let delivery = decoded.batch.delivery
        let marks = DeliveryMarks(synced: delivery.sequence, archived: delivery.sequence)
        switch decoded.batch.signal {
        case .samples(let batch, let isUrgent):
            let receipt = try await dependencies.sampleAppender.append(batch)
            if isUrgent && !receipt.isDuplicate {
                dependencies.alerting.wake(for: batch.groups.flatMap { $0.series.map(\.labels) })
            }
            dictionary.learn(receipt.seriesIDs, of: decoded.declaredIDs)
            let rejected = receipt.rejections.reduce(0) { $0 + $1.count }
            let reason = receipt.rejections.first.map { "\($0.labels): \($0.explanation)" } ?? ""
            let reply = AgentReply(
                verdict: .stored, marks: receipt.marks ?? marks, accepted: receipt.accepted, rejected: rejected,
                reason: reason)
            return Outcome(reply: reply, signal: .samples)
        case .lines(let batch): return try await store(batch, .lines, marks)
        case .events(let events):
            let outcome = try await store(EventRecord.batch(events, delivery: delivery), .events, marks)
            dependencies.alerting.observe(events)
            return outcome
        }
    }

    private func store(
        _ batch: LogBatch, _ signal: IngestCounters.Signal, _ marks: DeliveryMarks
    ) async throws -> Outcome {
        let receipt = try await dependencies.logAppender.append(batch)
        let rejected = receipt.rejections.reduce(0) { $0 + $1.lines }
        let reason = receipt.rejections.first.map { "\($0.labels): \($0.reason)" } ?? ""
        let reply = AgentReply(
            verdict: .stored, marks: receipt.marks ?? marks, accepted: receipt.accepted, rejected: rejected,
            reason: reason)
        return Outcome(reply: reply, signal: signal, duplicates: receipt.duplicates)
    }

    // MARK: - Answers

    private func refuse(_ error: AgentProtocolError, bytes: Int, nanoseconds: Int64) -> ListenerResponse {
        let isUndeclared = if case .undeclared = error { true } else { false }
        metrics.ingest.record(
            .samples, verdict: isUndeclared ? "redeclare" : "refused", bytes: bytes, nanoseconds: nanoseconds)
        let reply = AgentReply(
            verdict: isUndeclared ? .redeclare : .refused, marks: DeliveryMarks(synced: 0, archived: 0),
            reason: error.description)
        return AgentIngestAPI.response(isUndeclared ? 200 : 400, reply)
    }

    private static func reply(describing error: any Error) -> (Int, AgentReply) {
        let failure = APIFailure(describing: error)
        let isFinal = failure.kind == .badData
        let reply = AgentReply(
            verdict: isFinal ? .refused : .later, marks: DeliveryMarks(synced: 0, archived: 0),
            retryAfterSeconds: isFinal ? 0 : failure.retryAfterSeconds ?? 5, reason: failure.message)
        let status = [.badData, .overloaded].contains(failure.kind) ? failure.kind.status : 503
        return (status, reply)
    }

    private static func later(_ status: Int, _ reason: String, seconds: Int) -> ListenerResponse {
        let reply = AgentReply(
            verdict: .later, marks: DeliveryMarks(synced: 0, archived: 0), retryAfterSeconds: seconds, reason: reason)
        return response(status, reply)
    }

    private static func response(_ status: Int, _ reply: AgentReply) -> ListenerResponse {
        var fields = [HTTPField("Content-Type", AgentProtocol.mediaType)]
        if reply.retryAfterSeconds > 0 { fields.append(HTTPField("Retry-After", String(reply.retryAfterSeconds))) }
        return ListenerResponse(status: status, fields: fields, body: .bytes(AgentReplyCodec.encode(reply)))
    }

    // MARK: - Who is there

    /// The agents seen since the start, and those that are enrolled.
    func list(_ request: ServerRequest) async throws -> ListenerResponse {
        let now = dependencies.wallClock.nowNanoseconds
        let listing = AgentListing(
            entries: dependencies.agents.entries, enrolled: dependencies.enrolment?.ledger.agents ?? [:],
            conflicts: dependencies.agents.presence.conflicts(
                since: dependencies.monotonicClock.nowNanoseconds - AgentListing.conflictNanoseconds),
            nowNanoseconds: now)
        return .compressedJSON(
            PrometheusAnswer.success { writer in
                writer.beginObject()
                writer.key("agents")
                listing.write(&writer)
                writer.endObject()
            }, acceptsGzip: request.acceptsGzip)
    }
}

extension AgentBatch.Signal {
    /// Under which name it is counted.
    fileprivate var counted: IngestCounters.Signal {
        switch self {
        case .samples: .samples
        case .lines: .lines
        case .events: .events
        }
    }
}
