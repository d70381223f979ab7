internal import Glibc
internal import Synchronization

/// Does blocking work for asynchronous code on one thread, in order, so that the cooperative pool never waits for a
/// disk.
final class DiskWork: Sendable {
    private struct Queue: Sendable {
        var waiting: [@Sendable () -> Void] = []
        var isClosed = false
    }

    private let queue = Mutex(Queue())
    private let waker = Waker()

    /// Work for the thread that calls `run`.
    init() {}

    /// Does the work until `close`.
    func run() {
        while true {
            var wait = pollfd(fd: waker.descriptor, events: Int16(POLLIN), revents: 0)
            poll(&wait, 1, 1_000)
            waker.drain()
            let (waiting, isClosed) = queue.withLock { queue in
                defer { queue.waiting = [] }
                return (queue.waiting, queue.isClosed)
            }
            for work in waiting { work() }
            if isClosed, waiting.isEmpty { return }
        }
    }

    /// Ends `run` once everything waiting is done. Work that comes later is done where it is asked for.
    func close() {
        queue.withLock { $0.isClosed = true }
        waker.wake()
    }

    /// Does `body` without anybody waiting for it, behind what was asked before.
    func submit(_ body: @escaping @Sendable () -> Void) {
        let isTaken = queue.withLock { queue in
            if !queue.isClosed { queue.waiting.append(body) }
            return !queue.isClosed
        }
        isTaken ? waker.wake() : body()
    }

    /// Does `body` and returns its result.
    func perform<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            let work: @Sendable () -> Void = { continuation.resume(returning: body()) }
            let isTaken = queue.withLock { queue in
                if !queue.isClosed { queue.waiting.append(work) }
                return !queue.isClosed
            }
            isTaken ? waker.wake() : work()
        }
    }
}
