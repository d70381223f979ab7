internal import Disk
internal import Glibc
internal import Synchronization

/// The thread that seals, merges and cleans up, so that neither the writer nor a caller waits for it.
final class MaintenanceThread: Sendable {
    /// What the thread shares with those who wake and stop it.
    private final class Shared: Sendable {
        let isStopping = Atomic<Bool>(false)
        /// A pipe that is readable while a wake waits to be noticed.
        let readEnd: Int32
        let writeEnd: Int32
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) throws(StorageError) {
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else {
                throw StorageError(.other, operation: "pipe", path: "metric maintenance", code: errno)
            }
            (readEnd, writeEnd) = (ends[0], ends[1])
            for end in ends {
                _ = fcntl(end, F_SETFD, FD_CLOEXEC)
                _ = fcntl(end, F_SETFL, O_NONBLOCK)
            }
            self.body = body
        }

        deinit {
            Glibc.close(readEnd)
            Glibc.close(writeEnd)
        }

        func run() {
            var drain = [UInt8](repeating: 0, count: 64)
            while !isStopping.load(ordering: .relaxed) {
                var wait = pollfd(fd: readEnd, events: Int16(POLLIN), revents: 0)
                if poll(&wait, 1, MaintenanceThread.roundMilliseconds) > 0 { _ = read(readEnd, &drain, drain.count) }
                if !isStopping.load(ordering: .relaxed) { body() }
            }
        }
    }

    /// Without a wake it looks this often.
    private static let roundMilliseconds: Int32 = 1000

    private let shared: Shared
    private let thread: pthread_t

    /// Starts calling `body` each second, and at once after each `wake`.
    init(_ body: @escaping @Sendable () -> Void) throws(StorageError) {
        shared = try Shared(body)
        let argument = Unmanaged.passRetained(shared)
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Shared>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, argument.toOpaque())
        guard code == 0 else {
            argument.release()
            throw StorageError(.other, operation: "pthread_create", path: "metric maintenance", code: code)
        }
        self.thread = thread
    }

    /// Asks for a round now.
    func wake() {
        // A full pipe has wakes enough in it.
        _ = write(shared.writeEnd, [1], 1)
    }

    /// Ends the thread and waits for its last round. To be called once, and not on it.
    func stop() {
        shared.isStopping.store(true, ordering: .relaxed)
        wake()
        pthread_join(thread, nil)
    }
}
