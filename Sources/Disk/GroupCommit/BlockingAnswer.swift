internal import Synchronization

/// An answer that one thread gives and another waits for, blocked.
final class BlockingAnswer<Value: Sendable>: Sendable {
    private let result = Mutex<Result<Value, any Error>?>(nil)
    private let given = Semaphore()

    /// Nothing was answered yet.
    init() {}

    /// Answers, once.
    func give(_ answer: Result<Value, any Error>) {
        result.withLock { $0 = answer }
        given.post()
    }

    /// Blocks until the answer is there.
    func wait() -> Result<Value, any Error> {
        while true {
            if let answer = result.withLock({ $0 }) { return answer }
            given.wait()
        }
    }
}
