internal import Glibc
internal import Synchronization

/// Tells threads that wait for their next turn that there is none: a pipe whose far end is closed to say so.
final class StopSignal: Sendable {
    private let reader: Int32
    private let writer: Mutex<Int32?>

    init() {
        var ends: [Int32] = [-1, -1]
        let status = pipe(&ends)
        precondition(status == 0, "the system gives no more file descriptors (error \(errno))")
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        reader = ends[0]
        writer = Mutex(ends[1])
    }

    deinit {
        stop()
        close(reader)
    }

    /// Ends all waits, now and from now on.
    func stop() {
        let open = writer.withLock { writer in
            defer { writer = nil }
            return writer
        }
        if let open { close(open) }
    }

    /// Waits on the calling thread for `milliseconds`; true as soon as `stop` was called.
    func wait(milliseconds: Int32) -> Bool {
        var watched = pollfd(fd: reader, events: Int16(POLLIN), revents: 0)
        return poll(&watched, 1, milliseconds) > 0
    }
}
