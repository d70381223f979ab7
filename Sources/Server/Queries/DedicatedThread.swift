internal import Glibc

/// A thread of our own.
enum DedicatedThread {
    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Starts a detached thread that runs `body`.
    static func start(name: String, _ body: @escaping @Sendable () -> Void) {
        precondition(tryToStart(name: name, body), "the system gives no more threads")
    }

    /// As `start`; false where the system gives no more threads.
    static func tryToStart(name: String, _ body: @escaping @Sendable () -> Void) -> Bool {
        var thread = pthread_t()
        let named: @Sendable () -> Void = {
            takeName(name)
            body()
        }
        let box = Unmanaged.passRetained(Body(named))
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        guard status == 0 else {
            box.release()
            return false
        }
        pthread_detach(thread)
        return true
    }

    /// Gives the calling thread the name that top(1) and gdb show (proc(5)).
    private static func takeName(_ name: String) {
        let descriptor = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        _ = Array(name.utf8.prefix(15)).withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        close(descriptor)
    }
}
