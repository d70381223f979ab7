internal import Glibc
internal import Synchronization

/// A thread of the agent's own, for work that reads files and waits for the kernel. Its end can be awaited.
final class AgentThread: Sendable {
    private struct State {
        var hasEnded = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private final class Start {
        let thread: AgentThread
        let body: @Sendable () -> Void

        init(_ thread: AgentThread, _ body: @escaping @Sendable () -> Void) {
            self.thread = thread
            self.body = body
        }
    }

    private let name: String
    private let state = Mutex(State())

    /// Starts `body` on a new thread that `top -H` shows as `name`. Nil when the system refuses another thread.
    init?(name: String, _ body: @escaping @Sendable () -> Void) {
        self.name = name
        let start = Unmanaged.passRetained(Start(self, body))
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                start.thread.showName()
                start.body()
                start.thread.end()
                return nil
            }, start.toOpaque())
        guard code == 0 else {
            start.release()
            return nil
        }
        pthread_detach(thread)
    }

    /// Returns when the body has returned.
    func ended() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if !state.hasEnded { state.waiting.append(continuation) }
                return state.hasEnded
            }
            if isOver { continuation.resume() }
        }
    }

    private func end() {
        let waiting = state.withLock { state in
            defer { state = State(hasEnded: true) }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    private func showName() {
        let descriptor = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let bytes = Array(name.utf8.prefix(15))
        _ = write(descriptor, bytes, bytes.count)
    }
}
