internal import Glibc

/// A counting semaphore of the system, for threads of our own; never waited on in the cooperative pool.
package final class Semaphore: @unchecked Sendable {
    // sem_t must not move; its calls are thread-safe.
    private let raw = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    /// A semaphore that nobody has posted to.
    package init() {
        sem_init(raw, 0, 0)
    }

    deinit {
        sem_destroy(raw)
        raw.deallocate()
    }

    /// Lets one waiter go on, now or when it comes.
    package func post() {
        sem_post(raw)
    }

    /// Blocks this thread until somebody posts.
    package func wait() {
        while sem_wait(raw) != 0 {}
    }
}
