internal import Glibc

/// Runs a body on a thread of its own, for work that blocks on the disk.
package enum DedicatedThread {
    private final class Start {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Starts the thread; `name` is what `top -H` shows, cut to 15 bytes.
    package static func start(name: String, _ body: @escaping @Sendable () -> Void) throws(StorageError) {
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                DedicatedThread.nameThisThread(start.name)
                start.body()
                return nil
            }, start.toOpaque())
        guard code == 0 else {
            start.release()
            throw SystemCall.error("pthread_create", name, code)
        }
        pthread_detach(thread)
    }

    /// Through /proc, because pthread_setname_np is a GNU extension that the module of the C library leaves out.
    private static func nameThisThread(_ name: String) {
        let descriptor = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let bytes = Array(name.utf8.prefix(15))
        _ = write(descriptor, bytes, bytes.count)
    }

    /// Rests this thread.
    package static func rest(microseconds: Int) {
        if microseconds > 0 { usleep(useconds_t(microseconds)) }
    }
}
