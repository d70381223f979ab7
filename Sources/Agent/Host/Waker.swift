internal import Glibc

/// Wakes a thread that waits in `poll` or `epoll`, from any other thread.
final class Waker: Sendable {
    /// Readable while somebody asked to wake.
    let descriptor: Int32
    private let writer: Int32

    /// A pipe; when the process has no descriptors left the waiter falls back to its time-out.
    init() {
        var ends: [Int32] = [-1, -1]
        if pipe(&ends) != 0 { ends = [-1, -1] }
        for end in ends where end >= 0 {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        descriptor = ends[0]
        writer = ends[1]
    }

    deinit {
        close(descriptor)
        close(writer)
    }

    /// Wakes the waiter; many calls before it wakes are one.
    func wake() {
        var byte: UInt8 = 1
        _ = write(writer, &byte, 1)
    }

    /// Takes back all that was asked so far.
    func drain() {
        withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { raw in
            while read(descriptor, raw.baseAddress, raw.count) > 0 {}
        }
    }
}
