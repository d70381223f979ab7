internal import Synchronization

/// A `SegmentedLog` with the one thread that writes it: many senders share one fdatasync, and each hears that its
/// record is kept only after that sync.
///
/// While one sync runs, what arrives gathers for the next, so that batches grow with the load by themselves. Answers
/// come in log order, on the writer thread. With `Driving.manual` there is no thread and a test calls `runOnce`.
package final class GroupCommitLog: Sendable {
    /// What it is tuned by.
    package struct Options: Sendable {
        /// What may wait for the disk; more is refused as overload.
        package var queueBytes = 32 << 20
        /// One write and one sync hold at most this, so that the first of a flood is not kept waiting for the last.
        package var batchBytes = 4 << 20
        /// Under continuous load the thread rests this long between two batches, so that more share a sync.
        package var gatherMicroseconds = 2_000
        /// When the batch before held several records, their senders are about to send the next: a batch of fewer waits
        /// this long for the others, so that they go on sharing a sync instead of taking turns.
        package var companionMicroseconds = 300

        /// The defaults.
        package init() {}
    }

    /// Who runs the batches.
    package enum Driving: Sendable {
        /// A thread of that name.
        case thread(name: String)
        /// The caller of `runOnce`.
        case manual
    }

    /// What it has done so far, and how it is.
    package struct Status: Sendable, Equatable {
        package var records: UInt64 = 0
        package var bytes: UInt64 = 0
        package var syncs: UInt64 = 0
        /// Records that the disk refused.
        package var refused: UInt64 = 0
        package var firstPosition: LogPosition
        package var endPosition: LogPosition
        package var bytesOnDisk: UInt64
        /// Set for good after a failed sync.
        package var poison: StorageError?
        /// Set while the disk has no room for what is sent.
        package var isOutOfSpace = false
    }

    /// What opening the log found and did.
    package let recovery: LogRecovery

    private let options: Options
    private let isManual: Bool
    private let queue: CommitQueue
    private let writer: CommitWriter
    private let ended = Mutex<EndState>(EndState())

    private struct EndState {
        var hasEnded = false
        var waiting: [@Sendable () -> Void] = []
    }

    /// Takes over `log`, which nobody else may touch from now on. Call `close` when done: the thread lives until then.
    package init(
        _ log: sending SegmentedLog, driving: Driving, options: Options = Options()
    ) throws(StorageError) {
        recovery = log.recovery
        self.options = options
        queue = CommitQueue(maximumBytes: options.queueBytes)
        writer = CommitWriter(log)
        switch driving {
        case .manual: isManual = true
        case .thread(let name):
            isManual = false
            try DedicatedThread.start(name: name) { [self] in runUntilClosed() }
        }
    }

    /// What it has done so far, and how it is.
    package var status: Status { writer.status.withLock { $0 } }

    /// The bytes that wait to be written.
    package var queuedBytes: Int { queue.bytes }

    /// Adds a record. `completion` is called exactly once, on the writer thread and in log order: after the sync with
    /// the record's position, or with the reason why it is not kept. It must be quick and must not wait for this log.
    /// When `submit` itself throws, `completion` is not called.
    package func submit(
        kind: UInt8, payload: [UInt8], completion: @escaping @Sendable (Result<LogPosition, LogAppendError>) -> Void
    ) throws(LogAppendError) {
        try submit(kind: kind, bytes: payload.count, encoding: { payload }, completion: completion)
    }

    /// Adds a record whose bytes are made only when it is written: on the writer thread, in log order, after the
    /// preamble of the segment it goes to. For records that build on the ones before them. `bytes` is what they come
    /// to, about.
    package func submit(
        kind: UInt8, bytes: Int, encoding payload: @escaping @Sendable () -> [UInt8],
        completion: @escaping @Sendable (Result<LogPosition, LogAppendError>) -> Void
    ) throws(LogAppendError) {
        guard bytes <= LogRecord.payloadBytesMaximum else { throw .tooLarge(bytes: bytes) }
        try queue.add(.record(WaitingRecord(kind: kind, bytes: bytes, payload: payload, completion: completion)))
    }

    /// Adds a record and returns its position when it is kept.
    package func append(kind: UInt8, payload: [UInt8]) async throws(LogAppendError) -> LogPosition {
        let result: Result<LogPosition, LogAppendError> = await withCheckedContinuation { continuation in
            do throws(LogAppendError) {
                try submit(kind: kind, payload: payload) { continuation.resume(returning: $0) }
            } catch {
                continuation.resume(returning: .failure(error))
            }
        }
        return try result.get()
    }

    /// Runs `body` on the writer thread, after everything submitted before it. What it appends is synced before its
    /// result is handed back.
    package func perform<Value: Sendable>(
        _ body: @escaping @Sendable (SegmentedLog) throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            do throws(LogAppendError) {
                try queue.add(.work { log in continuation.resume(with: Self.run(body, on: log)) })
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }

    /// Like `perform`, for a thread of one's own: blocks it. Never call it on the writer thread or in the cooperative
    /// pool.
    package func performBlocking<Value: Sendable>(
        _ body: @escaping @Sendable (SegmentedLog) throws -> Value
    ) throws -> Value {
        let answer = BlockingAnswer<Value>()
        try queue.add(.work { log in answer.give(Self.run(body, on: log)) })
        if isManual { runOnce() }
        return try answer.wait().get()
    }

    /// Answers everything submitted so far, then ends the thread. Later records are refused as `closed`.
    package func close() async {
        await withCheckedContinuation { continuation in
            close { continuation.resume() }
        }
    }

    /// Like `close`, for a thread of one's own: blocks it.
    package func closeBlocking() {
        let done = Semaphore()
        close { done.post() }
        done.wait()
    }

    /// Writes, syncs and answers everything that waits; false when nothing did. Only with `Driving.manual`.
    @discardableResult
    package func runOnce() -> Bool {
        precondition(isManual, "a log with a thread of its own is not driven from outside")
        return writer.run(queue, batchBytes: options.batchBytes) > 0
    }
}

extension GroupCommitLog {
    private func runUntilClosed() {
        var companions = 0
        while queue.waitForEntries() {
            if queue.count < companions { DedicatedThread.rest(microseconds: options.companionMicroseconds) }
            companions = writer.run(queue, batchBytes: options.batchBytes)
            if !queue.isEmpty { DedicatedThread.rest(microseconds: options.gatherMicroseconds) }
        }
        end()
    }

    private func close(_ completion: @escaping @Sendable () -> Void) {
        let isOver = ended.withLock { ended in
            if !ended.hasEnded { ended.waiting.append(completion) }
            return ended.hasEnded
        }
        if isOver { return completion() }
        queue.close()
        if isManual {
            runOnce()
            end()
        }
    }

    private func end() {
        let waiting = ended.withLock { ended in
            defer { ended = EndState(hasEnded: true) }
            return ended.waiting
        }
        for completion in waiting { completion() }
    }

    private static func run<Value>(
        _ body: (SegmentedLog) throws -> Value, on log: SegmentedLog
    ) -> Result<Value, any Error> {
        Result {
            let value = try body(log)
            if !log.isSynced { try log.sync() }
            return value
        }
    }
}
