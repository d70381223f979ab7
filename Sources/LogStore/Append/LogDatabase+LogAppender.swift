internal import Disk
internal import Synchronization
package import Telemetry

extension LogDatabase: LogAppender {
    package func append(_ batch: LogBatch) async throws -> LogReceipt {
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
    }

    /// The answer to a batch that needs nothing any more; nil when it does.
    private func receiptOfStoredDelivery(_ batch: LogBatch) throws(AppendRefusal) -> LogReceipt? {
        let (isClosed, receipt): (Bool, LogReceipt?) = state.withLock { state in
            if state.isClosed { return (true, nil) }
            guard let delivery = batch.delivery, state.deduplication.contains(delivery) else { return (false, nil) }
            state.counters.duplicateBatches += 1
            // Applied means synced, so this may be answered at once.
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
                "a batch of \(wanted) bytes is over \(BatchRecord.memoryBytesMaximum): nothing of it was kept, split it")
        }
        let labels = verdict.record.streams.map(\.labels)
        let (isOver, overLimit, reservation) = state.withLock { state -> (Bool, Set<Labels>, Reservation) in
            let held = state.headBytes + state.reservedBytes
            // A batch alone in the store always passes, however large it is.
            guard held == 0 || held + wanted <= options.headBytesMaximum else { return (true, [], Reservation()) }
            var room = options.streamsMaximum - state.streams.count - state.reservedStreams
            var new = Set<Labels>()
            var over = Set<Labels>()
            for stream in labels where state.streams.identifier(of: stream) == nil && !new.contains(stream) {
                if room > 0 {
                    room -= 1
                    new.insert(stream)
                } else {
                    over.insert(stream)
                }
            }
            state.reservedBytes += wanted
            state.reservedStreams += new.count
            return (false, over, Reservation(bytes: wanted, streams: new.count))
        }
        if isOver {
            maintenance?.wake()
            throw AppendRefusal(
                .overloaded,
                "lines that wait to be written to a part take all of \(options.headBytesMaximum) bytes; "
                    + "nothing of this batch was kept, send it again", retryAfterSeconds: 1)
        }
        guard !overLimit.isEmpty else { return reservation }
        verdict.record.streams.removeAll { lines in
            guard overLimit.contains(lines.labels) else { return false }
            let reason = "the limit of \(options.streamsMaximum) streams is reached"
            verdict.rejections.append(LogRejection(labels: lines.labels, lines: lines.count, reason: reason))
            return true
        }
        return reservation
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
                    let outcome = state.withLock { $0.apply(record, position: position.ordinal) }
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
            state.counters.rejectedLines += verdict.rejections.reduce(0) { $0 + $1.lines }
            state.counters.aheadLines += verdict.ahead
            state.counters.truncatedLines += verdict.truncated
            state.counters.transformedLines += verdict.transformed
            return state.headBytes >= options.sealBytes
        }
        if shouldWake { maintenance?.wake() }
        return LogReceipt(
            accepted: outcome.accepted, duplicates: outcome.duplicates, rejections: verdict.rejections,
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
            if refusal.kind == .overloaded { state.counters.overloadedAppends += 1 }
            if refusal.kind == .unavailable { state.counters.unavailableAppends += 1 }
        }
        return refusal
    }
}
