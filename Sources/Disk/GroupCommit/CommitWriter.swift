internal import Synchronization

/// The writer's side of a `GroupCommitLog`: turns what waits into batches of one write and one sync, and answers.
final class CommitWriter: @unchecked Sendable {
    // Touched by the thread that calls `run`, and by nobody else.
    private let log: SegmentedLog
    /// Readable from any thread; renewed before the answers of a batch go out.
    let status: Mutex<GroupCommitLog.Status>

    /// Takes over `log`.
    init(_ log: SegmentedLog) {
        self.log = log
        status = Mutex(
            GroupCommitLog.Status(
                firstPosition: log.firstPosition, endPosition: log.endPosition, bytesOnDisk: log.bytesOnDisk,
                poison: log.poison))
    }

    /// Writes, syncs and answers everything that waits, in batches of `batchBytes`; how many entries that were.
    @discardableResult
    func run(_ queue: CommitQueue, batchBytes: Int) -> Int {
        let entries = queue.take()
        var batch: [WaitingRecord] = []
        var bytes = 0
        func flush() {
            guard !batch.isEmpty else { return }
            commit(batch, settling: queue)
            batch.removeAll(keepingCapacity: true)
            bytes = 0
        }
        for entry in entries {
            switch entry {
            case .record(let record):
                if bytes + record.bytes > batchBytes { flush() }
                batch.append(record)
                bytes += record.bytes
            case .work(let body):
                flush()
                body(log)
                renewStatus { _ in }
            }
        }
        flush()
        return entries.count
    }

    private func commit(_ batch: [WaitingRecord], settling queue: CommitQueue) {
        var bytes = 0
        do throws(StorageError) {
            // The segment's preamble is asked for before the records are made: they may build on it.
            try log.begin()
            let records = batch.map { LogRecord(kind: $0.kind, payload: $0.payload()) }
            bytes = records.reduce(0) { $0 + $1.payload.count }
            let first = try log.append(records)
            try log.sync()
            renewStatus { status in
                status.records += UInt64(records.count)
                status.bytes += UInt64(bytes)
                status.syncs += 1
                status.isOutOfSpace = false
            }
            queue.settle(batch)
            for (index, record) in batch.enumerated() {
                record.completion(.success(first.advanced(by: UInt64(index))))
            }
        } catch {
            renewStatus { status in
                status.refused += UInt64(batch.count)
                status.isOutOfSpace = error.kind == .noSpace
            }
            queue.settle(batch)
            for record in batch { record.completion(.failure(.storage(error))) }
        }
    }

    private func renewStatus(_ change: (inout GroupCommitLog.Status) -> Void) {
        status.withLock { status in
            change(&status)
            status.firstPosition = log.firstPosition
            status.endPosition = log.endPosition
            status.bytesOnDisk = log.bytesOnDisk
            status.poison = log.poison
        }
    }
}
