import Synchronization
import Wire

@testable import Agent

/// An engine in memory with one container, whose answers can be held back on their way or fail. An answer says what was
/// true when the question came.
final class HeldEngine: HTTPSending {
    enum Question: Sendable {
        case list
        case inspect
    }

    private struct State: Sendable {
        /// The answer to an inspection; nil while there is no container.
        var container: String?
        var isRunning = false
        var held: Set<Question> = []
        var failing: Set<Question> = []
        var waiting: [CheckedContinuation<Void, Never>] = []
        var asked: [Question: Int] = [:]
    }

    let id = String(repeating: "e", count: 64)
    private let state = Mutex(State())
    private let events: AsyncStream<[UInt8]>
    private let event: AsyncStream<[UInt8]>.Continuation

    init() {
        (events, event) = AsyncStream.makeStream()
    }

    /// What the engine says of its container from now on, and the text of its own file about it.
    @discardableResult
    func set(started: String, finished: String = "0001-01-01T00:00:00Z", isRunning: Bool) -> String {
        let text = """
            {"ID":"\(id)","Id":"\(id)","Name":"/web","Config":{"Image":"bb:1"},\
            "State":{"Running":\(isRunning),"StartedAt":"\(started)","FinishedAt":"\(finished)","ExitCode":0}}
            """
        state.withLock {
            $0.container = text
            $0.isRunning = isRunning
        }
        return text
    }

    /// Tells of an event of the container.
    func tell(_ action: String) {
        event.yield(Array("{\"Type\":\"container\",\"Action\":\"\(action)\",\"Actor\":{\"ID\":\"\(id)\"}}\n".utf8))
    }

    /// Holds answers to such questions back from now on.
    func hold(_ question: Question) { state.withLock { _ = $0.held.insert(question) } }

    /// Fails such questions, or answers them again.
    func fail(_ question: Question, _ isFailing: Bool = true) {
        state.withLock { state in
            if isFailing { state.failing.insert(question) } else { state.failing.remove(question) }
        }
    }

    /// Lets all answers go.
    func release() {
        let waiting = state.withLock { state in
            defer { state.waiting = [] }
            state.held = []
            return state.waiting
        }
        for answer in waiting { answer.resume() }
    }

    /// How many answers are held back.
    var heldCount: Int { state.withLock { $0.waiting.count } }

    /// How often it was asked.
    func asked(_ question: Question) -> Int { state.withLock { $0.asked[question] ?? 0 } }

    func send(_ call: HTTPCall) async throws -> HTTPReply {
        switch call.target.prefix(while: { $0 != "?" }) {
        case "/containers/json":
            return try await answer(.list) { state in
                let element = "{\"Id\":\"\(id)\",\"State\":\"\(state.isRunning ? "running" : "exited")\"}"
                return state.container == nil ? "[]" : "[\(element)]"
            }
        case "/containers/\(id)/json": return try await answer(.inspect) { $0.container }
        case "/info": return HTTPReply(status: 200, body: Array("{\"DockerRootDir\":\"/engine\"}".utf8))
        default: return HTTPReply(status: 404)
        }
    }

    private func answer(_ question: Question, _ text: (State) -> String?) async throws -> HTTPReply {
        let (reply, isFailing) = state.withLock { state in
            state.asked[question, default: 0] += 1
            return (text(state), state.failing.contains(question))
        }
        await withCheckedContinuation { continuation in
            let isHeld = state.withLock { state in
                guard state.held.contains(question) else { return false }
                state.waiting.append(continuation)
                return true
            }
            if !isHeld { continuation.resume() }
        }
        if isFailing { throw HTTPFailure(.head, "no answer within 5 s") }
        return HTTPReply(status: reply == nil ? 404 : 200, body: Array((reply ?? "{}").utf8))
    }

    func open(_ call: HTTPCall) async throws -> any HTTPStream { EventStream(events) }

    private final class EventStream: HTTPStream {
        let status = 200
        let fields: [HTTPField] = []
        private let events: AsyncStream<[UInt8]>

        init(_ events: AsyncStream<[UInt8]>) {
            self.events = events
        }

        func next() async throws -> [UInt8]? {
            var iterator = events.makeAsyncIterator()
            return await iterator.next()
        }
    }
}
