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

    /// `sem_t` must not move; its calls are thread-safe.
    private final class Signal: @unchecked Sendable {
        private let raw = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

        init() {
            sem_init(raw, 0, 0)
        }

        deinit {
            sem_destroy(raw)
            raw.deallocate()
        }

        func post() { sem_post(raw) }

        func wait() {
            while sem_wait(raw) != 0 {}
        }

        func wait(milliseconds: Int64) {
            var step: Int64 = 0
            // Steps of 50 ms: a deadline of the time of day would stretch when the clock is set back.
            while step < milliseconds, sem_trywait(raw) != 0 {
                usleep(50_000)
                step += 50
            }
        }
    }

    private let milliseconds: Int64
    private let signal = Signal()
    private let ended = Signal()
    private let isStopping = Atomic<Bool>(false)
    private let isWoken = Atomic<Bool>(false)
    private let hasStarted = Atomic<Bool>(false)

    /// A thread that is not started yet.
    init(milliseconds: Int64) {
        self.milliseconds = milliseconds
    }

    /// Starts to call `work`.
    func start(_ work: @escaping @Sendable () -> Void) throws(StorageError) {
        let body = Body { [signal, ended, milliseconds, self] in
            while !isStopping.load(ordering: .acquiring) {
                signal.wait(milliseconds: milliseconds)
                if isStopping.load(ordering: .acquiring) { break }
                isWoken.store(false, ordering: .releasing)
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

    /// Lets the next round begin now.
    func wake() {
        if !isWoken.exchange(true, ordering: .acquiringAndReleasing) { signal.post() }
    }

    /// Ends the thread and waits for its last round. Must not be called on it.
    func stop() {
        guard hasStarted.load(ordering: .acquiring), !isStopping.exchange(true, ordering: .acquiringAndReleasing) else {
            return
        }
        signal.post()
        ended.wait()
    }
}
