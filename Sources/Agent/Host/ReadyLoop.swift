internal import Glibc

/// Waits for many descriptors at once and calls what belongs to those that are ready. Belongs to one thread.
final class ReadyLoop {
    /// What is waited for.
    struct Interest: OptionSet {
        let rawValue: UInt32

        /// EPOLLIN.
        static let readable = Interest(rawValue: 0x001)
        /// EPOLLPRI, for files of the kernel that notify.
        static let urgent = Interest(rawValue: 0x002)
    }

    private let queue: Int32
    private var handlers: [Int32: () -> Void] = [:]

    /// Nil where the kernel gives no readiness queue.
    init?() {
        queue = LinuxCalls.epollCreate()
        guard queue >= 0 else { return nil }
    }

    deinit { close(queue) }

    /// Calls `handler` whenever `descriptor` is ready. False when the kernel cannot watch it.
    @discardableResult
    func add(_ descriptor: Int32, _ interest: Interest = .readable, _ handler: @escaping () -> Void) -> Bool {
        guard descriptor >= 0,
            LinuxCalls.epollControl(queue, .add, descriptor, events: interest.rawValue)
        else { return false }
        handlers[descriptor] = handler
        return true
    }

    /// Stops watching `descriptor`; call it before the descriptor is closed.
    func remove(_ descriptor: Int32) {
        guard handlers.removeValue(forKey: descriptor) != nil else { return }
        _ = LinuxCalls.epollControl(queue, .delete, descriptor, events: 0)
    }

    /// Waits at most `milliseconds` and calls the handlers of what is ready.
    func wait(milliseconds: Int) {
        var ready: [Int32] = []
        LinuxCalls.epollWait(queue, milliseconds: Int32(clamping: max(0, milliseconds))) { descriptor, _ in
            ready.append(descriptor)
        }
        // A handler may remove another one.
        for descriptor in ready { handlers[descriptor]?() }
    }
}
