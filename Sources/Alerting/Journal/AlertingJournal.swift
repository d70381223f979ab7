internal import Disk
internal import Synchronization
internal import Telemetry

/// Where decisions become durable before anything is done about them.
protocol DecisionJournal: Sendable {
    /// Writes entries as one frame. `completion` is called once, in order, after the sync (nil) or with why it failed.
    func submit(_ entries: [JournalEntry], completion: @escaping @Sendable ((any Error)?) -> Void)
    /// Writes a snapshot and lets go of everything before it. `completion` as above.
    func compact(_ snapshot: [JournalEntry], completion: @escaping @Sendable ((any Error)?) -> Void)
    /// Bytes written since the last snapshot.
    var bytesSinceSnapshot: Int { get }
}

/// The alerting journal: a group-committed `SegmentedLog` in a folder of its own (docs/formats/alert-journal.md).
final class AlertingJournal: DecisionJournal {
    static let folderName = "journal"
    /// Segments are small, so that a snapshot soon frees what is before it.
    static let segmentBytes: UInt64 = 1 << 20

    private let log: GroupCommitLog
    private let bytes = Mutex(0)
    /// Where the last whole snapshot begins.
    private let snapshotAt = Mutex<LogPosition?>(nil)

    /// Opens the journal below `folder` and reads the state it holds. Blocking.
    static func open(
        storage: any FileStorage, folder: String, driving: GroupCommitLog.Driving = .thread(name: "alert-journal")
    ) throws -> (journal: AlertingJournal, state: AlertingState, faults: [String]) {
        let path = StoragePath.join(folder, folderName)
        try storage.makeFolder(path)
        var options = SegmentedLog.Options()
        options.segmentBytes = segmentBytes
        // A quiet journal holds a few kilobytes.
        options.growthBytes = 16 << 10
        let log = try SegmentedLog(folder: path, in: storage, options: options)
        var replay = JournalReplay()
        _ = try log.read(from: log.firstPosition) { frame in
            replay.add(frame)
            return true
        }
        var faults = replay.faults
        if !log.recovery.isClean { faults.insert(log.recovery.description, at: 0) }
        let state = replay.state
        return (AlertingJournal(try GroupCommitLog(log, driving: driving)), state, faults)
    }

    /// Reads the state a journal holds without changing it, also while a server writes it.
    static func peek(storage: any FileStorage, folder: String) throws -> AlertingState {
        let path = StoragePath.join(folder, folderName)
        let copy = try FolderCopy(of: path, in: storage)
        let log = try SegmentedLog(folder: path, in: copy)
        var replay = JournalReplay()
        _ = try log.read(from: log.firstPosition) { frame in
            replay.add(frame)
            return true
        }
        return replay.state
    }

    private init(_ log: GroupCommitLog) {
        self.log = log
    }

    var bytesSinceSnapshot: Int { bytes.withLock { $0 } }

    func submit(_ entries: [JournalEntry], completion: @escaping @Sendable ((any Error)?) -> Void) {
        let payload = JournalBatch.encode(entries)
        bytes.withLock { $0 += payload.count }
        do throws(LogAppendError) {
            try log.submit(kind: JournalBatch.decisionKind, payload: payload) { result in
                switch result {
                case .success: completion(nil)
                case .failure(let error): completion(error)
                }
            }
        } catch {
            // Never on the caller's stack, who may hold what the completion takes.
            Task { completion(error) }
        }
    }

    func compact(_ snapshot: [JournalEntry], completion: @escaping @Sendable ((any Error)?) -> Void) {
        let pieces = JournalBatch.pieces(of: snapshot)
        bytes.withLock { $0 = 0 }
        let progress = SnapshotProgress(expected: pieces.count)
        for piece in pieces {
            do throws(LogAppendError) {
                try log.submit(kind: piece.kind, payload: piece.payload) { [self] result in
                    guard let outcome = progress.add(result) else { return }
                    switch outcome {
                    case .success(let first):
                        snapshotAt.withLock { $0 = first }
                        completion(nil)
                        // Behind what waits already; the position is gone with this process if it does not come to it.
                        Task { [log] in try? await log.perform { try $0.cut(before: first) } }
                    case .failure(let error): completion(error)
                    }
                }
            } catch {
                if case .failure(let error) = progress.add(.failure(error)) { Task { completion(error) } }
            }
        }
    }

    /// Answers what was submitted and ends the writer.
    func close() async { await log.close() }

    /// Like `close`, for a thread of one's own.
    func closeBlocking() { log.closeBlocking() }

    /// Runs what is waiting, for tests that drive the journal themselves.
    func drive() { while log.runOnce() {} }

    /// Lets go of what is before the last snapshot at once, for tests that drive the journal themselves.
    func cutBlocking() {
        guard let position = snapshotAt.withLock({ $0 }) else { return }
        try? log.performBlocking { try $0.cut(before: position) }
    }
}

/// Counts the pieces of a snapshot as they become durable.
private final class SnapshotProgress: Sendable {
    private struct State {
        var missing: Int
        var first: LogPosition?
        var failure: LogAppendError?
    }

    private let state: Mutex<State>

    init(expected: Int) {
        state = Mutex(State(missing: expected))
    }

    /// The outcome, once the last piece is answered.
    func add(_ result: Result<LogPosition, LogAppendError>) -> Result<LogPosition, LogAppendError>? {
        state.withLock { state in
            switch result {
            case .success(let position): state.first = state.first ?? position
            case .failure(let error): state.failure = state.failure ?? error
            }
            state.missing -= 1
            guard state.missing == 0 else { return nil }
            if let failure = state.failure { return .failure(failure) }
            return state.first.map { .success($0) }
        }
    }
}
