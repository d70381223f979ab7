internal import Disk
internal import Synchronization
package import Telemetry

/// The way of a batch: checked, resolved, logged, synced, applied, answered.
extension MetricDatabase: SampleAppender {
    package func append(_ batch: SampleBatch) async throws -> AppendReceipt {
        let result: Result<AppendReceipt, AppendRefusal> = await withCheckedContinuation { continuation in
            submit(batch) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }

    /// What `append` does, with the answer as a call: exactly once, as a rule on the log's thread.
    package func submit(
        _ batch: SampleBatch, completion: @escaping @Sendable (Result<AppendReceipt, AppendRefusal>) -> Void
    ) {
        guard !start.isOpen.load(ordering: .acquiring) else { return take(batch, into: head, completion) }
        switch start.enter({ [self] in submit(batch, completion: completion) }) {
        case .open: take(batch, into: head, completion)
        case .waits: return
        case .provisional(let provisional):
            take(batch, into: provisional) { [start] result in
                start.leave()
                completion(result)
            }
        case .failed(let reason):
            counters.refusedAppends.add(1, ordering: .relaxed)
            completion(.failure(AppendRefusal(.unavailable, reason, retryAfterSeconds: 60)))
        }
    }

    private func take(
        _ batch: SampleBatch, into head: Head,
        _ completion: @escaping @Sendable (Result<AppendReceipt, AppendRefusal>) -> Void
    ) {
        do throws(AppendRefusal) {
            try admit()
            if let delivery = batch.delivery, let synced = head.synced(of: delivery.sender),
                delivery.sequence <= synced
            {
                counters.duplicateDeliveries.add(1, ordering: .relaxed)
                return completion(.success(duplicateReceipt(synced: synced)))
            }
            let now = wallClock.nowMilliseconds
            let retention = retentionMilliseconds.load(ordering: .relaxed)
            let oldest = retention > 0 ? now - retention : .min
            let prepared = try head.prepare(batch, options: options, nowMilliseconds: now, oldestMilliseconds: oldest)
            counters.noteOverLimit(prepared.overLimit)
            counters.exemplarsDropped.add(prepared.exemplarsDropped, ordering: .relaxed)
            guard prepared.writes.contains(where: \.mayBeSealed) else {
                return send(prepared, of: batch, head, completion)
            }
            try siftAndSend(prepared, of: batch, head, completion)
        } catch {
            counters.refusedAppends.add(1, ordering: .relaxed)
            completion(.failure(error))
        }
    }

    private func siftAndSend(
        _ prepared: PreparedAppend, of batch: SampleBatch, _ head: Head,
        _ completion: @escaping @Sendable (Result<AppendReceipt, AppendRefusal>) -> Void
    ) throws(AppendRefusal) {
        let work = { @Sendable [self] in
            var prepared = prepared
            sift(&prepared)
            send(prepared, of: batch, head, completion)
        }
        guard let lookups = lookups.withLock({ $0 }) else { return work() }
        if lookups.submit(work) { return }
        prepared.finish()
        throw AppendRefusal(
            .overloaded, "too many appends of late samples wait to be compared with blocks; send it again",
            retryAfterSeconds: 1)
    }

    private func send(
        _ prepared: PreparedAppend, of batch: SampleBatch, _ head: Head,
        _ completion: @escaping @Sendable (Result<AppendReceipt, AppendRefusal>) -> Void
    ) {
        let hasContent =
            !prepared.writes.isEmpty || !prepared.exemplars.isEmpty || !batch.metadata.isEmpty || batch.delivery != nil
        let pending = PendingAppend(prepared, of: batch, head, database: self, completion: completion)
        if hasContent { pending.send() } else { pending.finish() }
    }

    /// Writes, syncs, applies and answers what was submitted; false when nothing was. Only with `Driving.manual`.
    @discardableResult
    package func drive() -> Bool { log.runOnce() }

    /// Refuses while memory or the log say so. A log that failed answers no repeated delivery either: what a start read
    /// back from it may not be durable.
    private func admit() throws(AppendRefusal) {
        let status = log.status
        if let poison = status.poison { throw Self.refusal(.storage(poison)) }
        if isClosed.load(ordering: .acquiring) {
            throw AppendRefusal(.unavailable, "the metric database is closing; send it again after the restart")
        }
        if status.bytesOnDisk > logLimit.load(ordering: .relaxed) {
            throw AppendRefusal(
                .unavailable, "\(fullDisk); nothing of this was stored, send it again", retryAfterSeconds: 2)
        }
        let held = head.rowBytes.load(ordering: .relaxed) + start.rowBytes
        if held > 2 * options.headBytes {
            throw AppendRefusal(
                .overloaded,
                "\(held) bytes of samples wait for the disk, twice what is allowed; nothing was stored, send it again",
                retryAfterSeconds: 5)
        }
    }

    func duplicateReceipt(synced: UInt64) -> AppendReceipt {
        AppendReceipt(accepted: 0, isDuplicate: true, marks: DeliveryMarks(synced: synced, archived: synced))
    }

    /// In words for the sender what the log said.
    static func refusal(_ error: LogAppendError) -> AppendRefusal {
        switch error {
        case .overloaded: AppendRefusal(.overloaded, error.description, retryAfterSeconds: 1)
        case .tooLarge: AppendRefusal(.malformed, error.description)
        case .closed: AppendRefusal(.unavailable, "the metric database is closing; send it again after the restart")
        case .storage(let storage) where storage.kind == .noSpace:
            AppendRefusal(
                .unavailable, "the disk is full (\(storage)); nothing was stored, it is taken again once there is room",
                retryAfterSeconds: 10)
        case .storage(let storage): AppendRefusal(.unavailable, "\(storage)", retryAfterSeconds: 60)
        }
    }
}

/// An append on its way through the log: one record as a rule, several when it is large. The last one carries the
/// delivery, so that a crash in between leaves a batch that is sent again and changes nothing it has changed before.
private final class PendingAppend: Sendable {
    /// A record holds about this much; far below what a frame may hold, so that an estimate is good enough.
    private static let recordBytes = 4 << 20

    private struct State {
        var outcome: Head.Outcome
        var remaining: Int
        var failure: AppendRefusal?
        var isDuplicate = false
    }

    private let database: MetricDatabase
    /// The head that it was prepared for.
    private let head: Head
    private let prepared: PreparedAppend
    private let metadata: [MetricMetadata]
    private let delivery: DeliveryIdentity?
    private let completion: @Sendable (Result<AppendReceipt, AppendRefusal>) -> Void
    private let state: Mutex<State>

    init(
        _ prepared: PreparedAppend, of batch: SampleBatch, _ head: Head, database: MetricDatabase,
        completion: @escaping @Sendable (Result<AppendReceipt, AppendRefusal>) -> Void
    ) {
        self.database = database
        self.head = head
        self.prepared = prepared
        metadata = batch.metadata
        delivery = batch.delivery
        self.completion = completion
        state = Mutex(
            State(
                outcome: Head.Outcome(accepted: prepared.accepted, rejections: prepared.rejections), remaining: 0,
                failure: nil))
    }

    func send() {
        let records = Self.records(prepared.writes)
        let exemplars = ExemplarRecord.pieces(prepared.exemplars)
        state.withLock { $0.remaining = records.count + exemplars.count }
        for piece in exemplars { send(piece) }
        for (index, writes) in records.enumerated() { send(writes, isLast: index == records.count - 1) }
    }

    private static func records(_ writes: [GroupWrite]) -> [[GroupWrite]] {
        var records: [[GroupWrite]] = [[]]
        var bytes = 0
        for write in writes.flatMap({ $0.split(maximumBytes: recordBytes) }) {
            let size = write.encodedBytesMaximum
            if bytes > 0, bytes + size > recordBytes {
                records.append([])
                bytes = 0
            }
            records[records.count - 1].append(write)
            bytes += size
        }
        return records
    }

    private func send(_ piece: ExemplarRecord.Piece) {
        do throws(LogAppendError) {
            try database.log.submit(kind: HeadRecordKind.exemplars.rawValue, payload: piece.payload) { [self] result in
                switch result {
                case .success(let position):
                    // While the log is read back they come from there, in order.
                    if !isProvisional { database.exemplars.apply(piece.exemplars, position: position) }
                    head.visible.withLock { $0 = max($0, position) }
                    settle { _ in }
                case .failure(let error): settle { $0.failure = MetricDatabase.refusal(error) }
                }
            }
        } catch {
            settle { $0.failure = MetricDatabase.refusal(error) }
        }
    }

    private func send(_ writes: [GroupWrite], isLast: Bool) {
        let (metadata, delivery) = isLast ? (metadata, delivery) : ([], nil)
        let head = head
        let bytes =
            writes.reduce(256) { $0 + $1.bytesEstimate }
            + metadata.reduce(0) {
                $0 + $1.help.utf8.count + $1.metricName.utf8.count + 32
            }
        do throws(LogAppendError) {
            try database.log.submit(kind: HeadRecordKind.batch.rawValue, bytes: bytes) {
                var writer = HeadRecordWriter(epoch: head.epoch.load(ordering: .relaxed))
                return writer.batch(writes, metadata: metadata, delivery: delivery)
            } completion: { [self] result in
                switch result {
                case .success(let position): apply(writes, position: position, isLast: isLast)
                case .failure(let error):
                    // What this record declared is not in the log: everything is declared again.
                    head.epoch.add(1, ordering: .relaxed)
                    settle { $0.failure = MetricDatabase.refusal(error) }
                }
            }
        } catch {
            settle { $0.failure = MetricDatabase.refusal(error) }
        }
    }

    private func apply(_ writes: [GroupWrite], position: LogPosition, isLast: Bool) {
        // The same delivery may have been under way twice; its samples are here already.
        if isLast, let delivery, !head.admit(delivery) {
            head.visible.withLock { $0 = max($0, position) }
            return settle { $0.isDuplicate = true }
        }
        var sifted = Head.Outcome()
        let writes = database.sift(writes, since: prepared.siftedThrough, &sifted)
        let outcome = head.apply(writes, position: position)
        if isProvisional {
            let refused = outcome.rejections.reduce(0) { $0 + $1.count }
            database.start.samplesRefused.add(refused, ordering: .relaxed)
        }
        if isLast { head.learn(metadata, maximum: database.options.metadataMaximum) }
        settle { state in
            state.outcome.accepted += outcome.accepted + sifted.accepted
            state.outcome.rejections += sifted.rejections + outcome.rejections
        }
        if !isProvisional { database.wakeIfNeeded() }
    }

    /// Whether the log is still being read back.
    private var isProvisional: Bool { head !== database.head }

    private func settle(_ change: (inout State) -> Void) {
        let isDone = state.withLock { state in
            change(&state)
            state.remaining -= 1
            return state.remaining == 0
        }
        if isDone { finish() }
    }

    /// Answers.
    func finish() {
        prepared.finish()
        let state = state.withLock { $0 }
        let outcome = state.outcome
        let counters = database.counters
        if let failure = state.failure {
            counters.refusedAppends.add(1, ordering: .relaxed)
            return completion(.failure(failure))
        }
        if state.isDuplicate { counters.duplicateDeliveries.add(1, ordering: .relaxed) }
        counters.appends.add(1, ordering: .relaxed)
        counters.samplesAppended.add(outcome.accepted, ordering: .relaxed)
        counters.reject(outcome.rejections)
        let exemplars = prepared.exemplars.reduce(0) { $0 + $1.exemplars.count }
        counters.exemplarsAppended.add(exemplars, ordering: .relaxed)
        var receipt = AppendReceipt(
            accepted: outcome.accepted, rejections: outcome.rejections, isDuplicate: state.isDuplicate,
            seriesIDs: prepared.seriesIDs)
        if let delivery {
            let synced = head.synced(of: delivery.sender) ?? delivery.sequence
            receipt.marks = DeliveryMarks(synced: synced, archived: synced)
        }
        completion(.success(receipt))
    }
}
