internal import Disk
internal import Synchronization
package import Telemetry

/// Taking lines: judged, reserved for, logged, applied after the sync, answered.
extension LogDatabase: LogAppender {
    package func append(_ batch: LogBatch) async throws -> LogReceipt {
        await waitForRoom(bytes: batch.streams.reduce(0) { $0 + $1.bytes.count })
        let result: Result<LogReceipt, AppendRefusal> = await withCheckedContinuation { continuation in
            submit(batch) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }

    /// Submits a batch; `completion` is called once, on the log's writer thread or, when nothing needs to be logged,
    /// here.
    func submit(_ batch: LogBatch, _ completion: @escaping @Sendable (Result<LogReceipt, AppendRefusal>) -> Void) {
        do throws(AppendRefusal) {
            if let receipt = try receiptOfStoredDelivery(batch) { return completion(.success(receipt)) }
            let oldest = state.withLock { $0.oldestNanoseconds }
            let admission = Admission(
                options: options, transform: lineTransform, nowNanoseconds: wallClock.nowNanoseconds,
                oldestNanoseconds: oldest)
            var verdict = try admission.judge(batch)
            let reservation = try reserve(&verdict)
            let result = verdict
            log(result, reservation, completion)
        } catch {
            state.withLock { state in
                if error.kind == .overloaded { state.counters.overloadedAppends += 1 }
                if error.kind == .unavailable { state.counters.unavailableAppends += 1 }
            }
            completion(.failure(error))
        }
    }

    /// What a batch takes until it is applied.
    struct Reservation: Sendable {
        var bytes = 0
        var streams = 0
        /// New lines without an origin, noted as underway.
        var underway: [RecentLines.Key] = []
        /// The keys of the lines that are logged, one element per stream, empty for one with an origin.
        var keys: [[RecentLines.Key]] = []
        /// Lines that are stored already.
        var duplicates = 0
    }

    /// The answer to a batch that needs nothing any more; nil when it does.
    private func receiptOfStoredDelivery(_ batch: LogBatch) throws(AppendRefusal) -> LogReceipt? {
        // After a failed sync at the start, what was replayed may not be durable: then a known delivery is no promise.
        if let poison = log.status.poison {
            throw AppendRefusal(.unavailable, "the log takes no more lines: \(poison)", retryAfterSeconds: 10)
        }
        let (isClosed, receipt): (Bool, LogReceipt?) = state.withLock { state in
            if state.isClosed { return (true, nil) }
            guard let delivery = batch.delivery, state.deduplication.contains(delivery) else { return (false, nil) }
            state.counters.duplicateBatches += 1
            // Applied to a sound log means synced, so this may be answered at once.
            return (
                false,
                LogReceipt(
                    accepted: 0, duplicates: batch.lineCount, isDuplicate: true,
                    marks: state.marks(of: delivery.sender))
            )
        }
        if isClosed {
            throw AppendRefusal(.unavailable, "the log store is closed; send the batch again", retryAfterSeconds: 5)
        }
        return receipt
    }

    /// Takes memory and streams for a batch, or refuses it; streams beyond the limit are rejected.
    private func reserve(_ verdict: inout Admission.Verdict) throws(AppendRefusal) -> Reservation {
        let wanted = verdict.record.memoryBytes
        guard wanted <= BatchRecord.memoryBytesMaximum else {
            throw AppendRefusal(
                .malformed,
                "a batch of \(wanted) bytes is over \(BatchRecord.memoryBytesMaximum): nothing of it was kept, split it"
            )
        }
        if options.limitsBytesPerSecond {
            let allowed = state.withLock { [verdict] state in
                Result { () throws(AppendRefusal) in
                    var verdict = verdict
                    try state.allow(&verdict)
                    return verdict
                }
            }
            verdict = try allowed.get()
        }
        let keys = verdict.record.streams.map { $0.origin == nil ? RecentLines.keys(of: $0) : [] }
        let (record, sender) = (verdict.record, verdict.sender)
        let reserved = state.withLock { $0.reserve(record, sender: sender, keys: keys, bytes: wanted) }
        guard let reserved else {
            maintenance?.wake()
            let words = "lines that wait to be written to a part take all of \(options.headBytesMaximum) bytes; "
            throw AppendRefusal(
                .overloaded, words + "nothing of this batch was kept, send it again", retryAfterSeconds: 1)
        }
        verdict.record = reserved.record
        for (lines, reason) in reserved.overLimit {
            verdict.rejections.append(LogRejection(labels: lines.labels, lines: lines.count, reason: reason))
        }
        return reserved.reservation
    }

    private func log(
        _ verdict: Admission.Verdict, _ reservation: Reservation,
        _ completion: @escaping @Sendable (Result<LogReceipt, AppendRefusal>) -> Void
    ) {
        let record = verdict.record
        if record.streams.isEmpty, record.losses.isEmpty, record.delivery == nil {
            return completion(.success(finish(verdict, reservation, outcome: StoreState.Outcome())))
        }
        do {
            try log.submit(kind: LogDatabase.batchKind, payload: record.encoded()) { [self] result in
                switch result {
                case .success(let position):
                    let outcome = state.withLock {
                        $0.apply(record, position: position.ordinal, keys: reservation.keys)
                    }
                    if let arrival = outcome.arrival { hub.publish(arrival) }
                    completion(.success(finish(verdict, reservation, outcome: outcome)))
                case .failure(let error):
                    completion(.failure(refuse(error, reservation)))
                }
            }
        } catch {
            completion(.failure(refuse(error, reservation)))
        }
    }

    private func finish(
        _ verdict: Admission.Verdict, _ reservation: Reservation, outcome: StoreState.Outcome
    ) -> LogReceipt {
        let shouldWake = state.withLock { state in
            state.reservedBytes -= reservation.bytes
            state.reservedStreams -= reservation.streams
            state.counters.duplicateLines += reservation.duplicates
            // What was applied is stored; a batch that turned out to be a known delivery was not.
            if outcome.isDuplicate { state.recentLines.withdraw(reservation.underway) }
            state.counters.rejectedLines += verdict.rejections.reduce(0) { $0 + $1.lines }
            state.counters.aheadLines += verdict.ahead
            state.counters.truncatedLines += verdict.truncated
            state.counters.transformedLines += verdict.transformed
            return state.hasFullBlock || state.headBytes >= options.sealBytes
        }
        if shouldWake { maintenance?.wake() }
        return LogReceipt(
            accepted: outcome.accepted, duplicates: outcome.duplicates + reservation.duplicates,
            rejections: verdict.rejections,
            isDuplicate: outcome.isDuplicate, marks: outcome.marks)
    }

    private func refuse(_ error: LogAppendError, _ reservation: Reservation) -> AppendRefusal {
        let refusal =
            switch error {
            case .overloaded: AppendRefusal(.overloaded, "\(error)", retryAfterSeconds: 1)
            case .tooLarge: AppendRefusal(.malformed, "\(error)")
            case .closed: AppendRefusal(.unavailable, "\(error)", retryAfterSeconds: 5)
            case .storage: AppendRefusal(.unavailable, "\(error)", retryAfterSeconds: 10)
            }
        state.withLock { state in
            state.reservedBytes -= reservation.bytes
            state.reservedStreams -= reservation.streams
            state.recentLines.withdraw(reservation.underway)
            if refusal.kind == .overloaded { state.counters.overloadedAppends += 1 }
            if refusal.kind == .unavailable { state.counters.unavailableAppends += 1 }
        }
        return refusal
    }
}
