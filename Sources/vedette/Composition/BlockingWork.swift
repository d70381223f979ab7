internal import Foundation

/// Work that waits for a disk, done on a thread of its own, so that the cooperative pool is never blocked.
enum BlockingWork {
    /// Runs `body` on a new thread and returns what it returns.
    static func perform<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
        }
    }
}
