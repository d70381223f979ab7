internal import Disk
internal import Glibc
internal import Synchronization

/// The thread that seals, merges and cleans up, so that neither the writer nor a caller waits for it.
final class MaintenanceThread: Sendable {
    private final class Start {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) {
            self.body = body
        }
    }

    private let isAwake = Atomic<Bool>(false)
    private let isStopping = Atomic<Bool>(false)
    private let hasEnded = Atomic<Bool>(false)
    /// How soon a wake or a stop is noticed. A wait on the monotonic clock would not be shortened by more than this.
    private static let restMicroseconds: UInt32 = 20_000
    /// Without a wake it looks this often, in rests.
    private static let restsPerRound = 50

    /// Starts calling `body` each second, and soon after each `wake`.
    init(_ body: @escaping @Sendable () -> Void) throws(StorageError) {
        let start = Unmanaged.passRetained(Start { [self] in run(body) })
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, start.toOpaque())
        guard code == 0 else {
            start.release()
            throw StorageError(.other, operation: "pthread_create", path: "tsdb-maintain", code: code)
        }
        pthread_detach(thread)
    }

    /// Asks for a round soon.
    func wake() { isAwake.store(true, ordering: .relaxed) }

    /// Ends the thread and waits for its last round. Must not be called on it.
    func stop() {
        isStopping.store(true, ordering: .relaxed)
        while !hasEnded.load(ordering: .acquiring) { usleep(1000) }
    }

    private func run(_ body: () -> Void) {
        var rests = 0
        while !isStopping.load(ordering: .relaxed) {
            usleep(Self.restMicroseconds)
            rests += 1
            let isDue = rests >= Self.restsPerRound || isAwake.exchange(false, ordering: .relaxed)
            guard isDue, !isStopping.load(ordering: .relaxed) else { continue }
            rests = 0
            body()
        }
        hasEnded.store(true, ordering: .releasing)
    }
}
