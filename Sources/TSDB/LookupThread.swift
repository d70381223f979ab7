internal import Disk
internal import Synchronization

/// The thread that looks into blocks on behalf of appends of late samples: their callers may not wait for a disk, and
/// the log's thread has everybody else to serve.
final class LookupThread: Sendable {
    private struct State {
        var waiting: [@Sendable () -> Void] = []
        var isClosed = false
    }

    /// More appends do not wait; they are refused as overload.
    private static let waitingMaximum = 256

    private let state = Mutex(State())
    private let wake = Semaphore()
    private let ended = Semaphore()

    /// Starts the thread, which lives until `close`.
    init() throws(StorageError) {
        try DedicatedThread.start(name: "tsdb-lookup") { [self] in run() }
    }

    /// Does `work` behind what waits already; false when too much does, or the thread ends.
    func submit(_ work: @escaping @Sendable () -> Void) -> Bool {
        let isTaken = state.withLock { state in
            guard !state.isClosed, state.waiting.count < Self.waitingMaximum else { return false }
            state.waiting.append(work)
            return true
        }
        if isTaken { wake.post() }
        return isTaken
    }

    /// Ends the thread once everything that waits is done. To be called once.
    func close() {
        state.withLock { $0.isClosed = true }
        wake.post()
        ended.wait()
    }

    private func run() {
        while true {
            wake.wait()
            let (work, isLast) = state.withLock { state in
                defer { state.waiting = [] }
                return (state.waiting, state.isClosed)
            }
            for one in work { one() }
            if isLast { break }
        }
        ended.post()
    }
}
