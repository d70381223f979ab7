internal import Glibc

/// One trigger of pressure stall information (Documentation/accounting/psi.rst): the kernel tells when tasks waited for
/// a resource for longer than a share of a window. It costs nothing while nobody waits. Belongs to one thread.
final class PressureTrigger {
    /// What is waited for.
    enum Resource: String, CaseIterable, Sendable {
        case cpu
        case memory
        case io

        /// `some` is one task that waits, `full` all of them. CPU is always wanted by somebody, and disks are there to
        /// be waited for: those two tell of more than a busy moment.
        fileprivate var line: String { self == .io ? "full" : "some" }
        /// Milliseconds of waiting in half a second.
        fileprivate var stallMilliseconds: Int { self == .memory ? 100 : self == .cpu ? 400 : 250 }
    }

    let resource: Resource
    private let descriptor: Int32
    private let loop: ReadyLoop

    /// The kernel looks ten times in a window, so that it tells within 50 ms.
    private static let windowMilliseconds = 500
    /// Without CAP_SYS_RESOURCE windows must be multiples of two seconds.
    private static let unprivilegedFactor = 4

    /// Calls `onPressure` whenever `path` (a `*.pressure` file) tells; nil where the kernel has no such file or gives
    /// no trigger.
    init?(_ resource: Resource, path: String, loop: ReadyLoop, onPressure: @escaping () -> Void) {
        guard
            let descriptor = Self.open(resource, path, factor: 1)
                ?? Self.open(resource, path, factor: Self.unprivilegedFactor)
        else { return nil }
        self.resource = resource
        self.descriptor = descriptor
        self.loop = loop
        let isWatched = loop.add(descriptor, .urgent) { [loop] in
            var state = pollfd(fd: descriptor, events: Int16(POLLPRI), revents: 0)
            poll(&state, 1, 0)
            // The group is gone; its descriptor would be ready for ever.
            if Int32(state.revents) & Int32(POLLERR) != 0 { return loop.remove(descriptor) }
            onPressure()
        }
        guard isWatched else {
            close(descriptor)
            return nil
        }
    }

    deinit {
        loop.remove(descriptor)
        close(descriptor)
    }

    private static func open(_ resource: Resource, _ path: String, factor: Int) -> Int32? {
        let descriptor = Glibc.open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        let (stall, window) = (resource.stallMilliseconds * factor * 1_000, windowMilliseconds * factor * 1_000)
        let line = "\(resource.line) \(stall) \(window)"
        let bytes = Array(line.utf8) + [0]
        guard write(descriptor, bytes, bytes.count) == bytes.count else {
            close(descriptor)
            return nil
        }
        return descriptor
    }
}
