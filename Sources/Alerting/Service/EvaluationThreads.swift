internal import Glibc

/// A few threads for work that blocks (queries, evidence, the audit log's syncs), so that the cooperative pool never
/// does.
final class EvaluationThreads: Sendable {
    private struct Queue {
        var jobs: [@Sendable () -> Void] = []
        var isClosed = false
    }

    /// The queue with the lock and the condition its threads wait on.
    private final class Shared: @unchecked Sendable {
        private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
        private var queue = Queue()

        init() {
            pthread_mutex_init(lock, nil)
            pthread_cond_init(condition, nil)
        }

        deinit {
            pthread_cond_destroy(condition)
            pthread_mutex_destroy(lock)
            condition.deallocate()
            lock.deallocate()
        }

        func add(_ job: @escaping @Sendable () -> Void) {
            pthread_mutex_lock(lock)
            queue.jobs.append(job)
            pthread_cond_signal(condition)
            pthread_mutex_unlock(lock)
        }

        func close() {
            pthread_mutex_lock(lock)
            queue.isClosed = true
            pthread_cond_broadcast(condition)
            pthread_mutex_unlock(lock)
        }

        /// Runs jobs until the queue is closed and empty.
        func work() {
            while true {
                pthread_mutex_lock(lock)
                while queue.jobs.isEmpty, !queue.isClosed { pthread_cond_wait(condition, lock) }
                let job = queue.jobs.isEmpty ? nil : queue.jobs.removeFirst()
                pthread_mutex_unlock(lock)
                guard let job else { return }
                job()
            }
        }
    }

    private let shared = Shared()

    /// Starts `count` threads, which end with this object.
    init(count: Int) {
        for _ in 0..<max(1, count) {
            var thread = pthread_t()
            let argument = Unmanaged.passRetained(shared).toOpaque()
            let code = pthread_create(
                &thread, nil,
                { argument in
                    guard let argument else { return nil }
                    Unmanaged<Shared>.fromOpaque(argument).takeRetainedValue().work()
                    return nil
                }, argument)
            if code == 0 {
                pthread_detach(thread)
            } else {
                Unmanaged<Shared>.fromOpaque(argument).release()
            }
        }
    }

    deinit { shared.close() }

    /// Runs `body` on one of the threads.
    func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            shared.add { continuation.resume(returning: body()) }
        }
    }
}
