internal import Synchronization

/// A record that waits to be written, and whom to tell.
struct WaitingRecord: Sendable {
    let kind: UInt8
    /// What the payload comes to, about: the queue counts with it.
    let bytes: Int
    let payload: @Sendable () -> [UInt8]
    let completion: @Sendable (Result<LogPosition, LogAppendError>) -> Void
}

/// What waits for the writer thread: records to append and work to do, in the order of their arrival, bounded in bytes.
final class CommitQueue: Sendable {
    /// One thing in the queue.
    enum Entry: Sendable {
        case record(WaitingRecord)
        case work(@Sendable (SegmentedLog) -> Void)
    }

    private struct State {
        var entries: [Entry] = []
        var bytes = 0
        var isClosed = false
    }

    /// An entry costs memory beyond its payload; many empty ones must not be free.
    private static let entryBytes = 128

    private let maximumBytes: Int
    private let state = Mutex(State())
    private let signal = Semaphore()

    /// A queue that refuses records beyond `maximumBytes`.
    init(maximumBytes: Int) {
        self.maximumBytes = maximumBytes
    }

    /// The bytes waiting.
    var bytes: Int { state.withLock { $0.bytes } }

    /// The number of entries waiting.
    var count: Int { state.withLock { $0.entries.count } }

    /// Whether nothing is waiting.
    var isEmpty: Bool { state.withLock { $0.entries.isEmpty } }

    /// Adds an entry. Work is never refused for its size, so that flush and retention get through an overload.
    func add(_ entry: Entry) throws(LogAppendError) {
        let refused: LogAppendError? = state.withLock { state in
            if state.isClosed { return .closed }
            if case .record(let record) = entry {
                // A record larger than the whole queue passes when it is alone.
                guard state.bytes == 0 || state.bytes + record.bytes <= maximumBytes else {
                    return .overloaded(queuedBytes: state.bytes, maximumBytes: maximumBytes)
                }
                state.bytes += record.bytes + Self.entryBytes
            }
            state.entries.append(entry)
            return nil
        }
        if let refused { throw refused }
        signal.post()
    }

    /// Refuses what comes from now on.
    func close() {
        state.withLock { $0.isClosed = true }
        signal.post()
    }

    /// Takes everything that waits. Its bytes count as waiting until `settle`.
    func take() -> [Entry] {
        state.withLock { state in
            defer { state.entries = [] }
            return state.entries
        }
    }

    /// Says that these records are answered and wait no more.
    func settle(_ records: [WaitingRecord]) {
        let bytes = records.reduce(0) { $0 + $1.bytes + Self.entryBytes }
        state.withLock { $0.bytes -= bytes }
    }

    /// Blocks until something waits; false when the queue is closed and empty.
    func waitForEntries() -> Bool {
        while true {
            let (isEmpty, isClosed) = state.withLock { ($0.entries.isEmpty, $0.isClosed) }
            if !isEmpty { return true }
            if isClosed { return false }
            signal.wait()
        }
    }
}
