internal import Disk
internal import Glibc
internal import Synchronization

/// A thread that does the store's housekeeping at an interval, or sooner when it is woken.
final class MaintenanceThread: Sendable {
    private final class Body {
        let run: @Sendable () -> Void

        init(_ run: @escaping @Sendable () -> Void) {
            self.run = run
        }
    }

    /// An event that one thread waits for, with a time limit that no change of the time of day stretches (poll(2)).
    private final class Event: Sendable {
        private let reading: Int32
        private let writing: Int32

        init() throws(StorageError) {
            var ends: [Int32] = [-1, -1]
            let isMade = pipe(&ends) == 0
            reading = ends[0]
            writing = ends[1]
            guard isMade else { throw StorageError(.other, operation: "pipe", path: "", code: errno) }
            for end in ends {
                _ = fcntl(end, F_SETFD, FD_CLOEXEC)
                _ = fcntl(end, F_SETFL, O_NONBLOCK)
            }
        }

        deinit {
            close(reading)
            close(writing)
        }

        /// A full pipe is posted to already.
        func post() {
            var byte: UInt8 = 1
            _ = write(writing, &byte, 1)
        }

        /// Waits until `post` was called since the last wait, or for `milliseconds`; -1 for no limit.
        func wait(milliseconds: Int32) {
            var request = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
            while poll(&request, 1, milliseconds) < 0, errno == EINTR {}
            var bytes = [UInt8](repeating: 0, count: 256)
            while read(reading, &bytes, bytes.count) == bytes.count {}
        }
    }

    private let milliseconds: Int32
    private let wakeUp: Event
    private let ended: Event
    private let isStopping = Atomic<Bool>(false)
    private let hasStarted = Atomic<Bool>(false)

    /// A thread that is not started yet.
    init(milliseconds: Int64) throws(StorageError) {
        self.milliseconds = Int32(clamping: max(1, milliseconds))
        wakeUp = try Event()
        ended = try Event()
    }

    /// Starts to call `work`.
    func start(_ work: @escaping @Sendable () -> Void) throws(StorageError) {
        let body = Body { [self] in
            while !isStopping.load(ordering: .acquiring) {
                wakeUp.wait(milliseconds: milliseconds)
                if isStopping.load(ordering: .acquiring) { break }
                work()
            }
            ended.post()
        }
        let argument = Unmanaged.passRetained(body)
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, argument.toOpaque())
        guard code == 0 else {
            argument.release()
            throw StorageError(.other, operation: "pthread_create", path: "", code: code)
        }
        pthread_detach(thread)
        hasStarted.store(true, ordering: .releasing)
    }

    /// Lets the next round begin now; several calls before it count as one.
    func wake() { wakeUp.post() }

    /// Ends the thread and waits for its last round. Must not be called on it.
    func stop() {
        guard hasStarted.load(ordering: .acquiring), !isStopping.exchange(true, ordering: .acquiringAndReleasing) else {
            return
        }
        wakeUp.post()
        ended.wait(milliseconds: -1)
    }
}
