internal import Synchronization
internal import Telemetry
internal import Wire

/// Lines of containers whose engine keeps their logs to itself (Docker's `local` driver), read through its API. The
/// place is the time of the last message the server has, and how many messages of that very time it has: the engine
/// gives them again in the same order.
final class EngineLogSource: LineSource {
    /// What is known of one container.
    private struct Follower {
        var stream: EngineLogStream
        var joiner = LineJoiner()
        var reach: EngineLogReach
        var labels: [Labels]
    }

    private let context: LineSourceContext
    private let engine: DockerEngine
    private var followers: [String: Follower] = [:]
    private var generation: UInt64 = .max

    /// Log drivers whose logs only the engine reads.
    private static let drivers: Set<String> = ["local"]

    init?(_ context: LineSourceContext) {
        guard let engine = context.engine else { return nil }
        self.context = context
        self.engine = engine
    }

    deinit { for follower in followers.values { follower.stream.stop() } }

    /// Streams wake the thread by themselves.
    var descriptors: [Int32] { [] }

    func harvest(_ look: LineSourceLook) -> LineHarvest {
        follow(look.snapshot)
        var harvest = LineHarvest()
        guard look.isAccepting else { return harvest }
        for id in followers.keys.sorted() where harvest.bytes < look.budget {
            guard var follower = followers[id] else { continue }
            take(id, &follower, look, &harvest)
            followers[id] = follower
        }
        harvest.hasMore = harvest.bytes >= look.budget
        return harvest
    }

    private func place(_ id: String) -> TailPositions.Place { TailPositions.Place(source: "engine/\(id)") }

    private func follow(_ snapshot: ContainerRegistry.Snapshot) {
        guard snapshot.generation != generation else { return }
        generation = snapshot.generation
        for (id, container) in snapshot.containers where Self.drivers.contains(container.logDriver) {
            let labels = LogStream.allCases.map { container.streamLabels(node: context.node, stream: $0.label) }
            if followers[id] != nil {
                followers[id]?.labels = labels
            } else {
                let reach = EngineLogReach(context.reach(place(id)))
                let stream = EngineLogStream(
                    engine: engine, container: id, hasTerminal: container.hasTerminal,
                    sinceNanoseconds: reach.nanoseconds, waker: context.waker)
                followers[id] = Follower(stream: stream, reach: reach, labels: labels)
            }
            followers[id]?.stream.isRunning(container.isRunning, startedNanoseconds: container.startedNanoseconds)
        }
        for (id, follower) in followers where snapshot.containers[id] == nil && follower.stream.isDrained {
            follower.stream.stop()
            followers[id] = nil
        }
    }

    private func take(_ id: String, _ follower: inout Follower, _ look: LineSourceLook, _ harvest: inout LineHarvest) {
        let origin = LogOrigin(source: "\(context.agent)/engine:\(id)", generation: follower.reach.generation)
        var lines = LineCollector(labels: follower.labels, origin: origin, wallNanoseconds: look.wallNanoseconds)
        let (messages, isOver) = follower.stream.take()
        guard !messages.isEmpty || isOver else { return }
        for message in messages {
            guard follower.reach.accept(message) else { continue }
            let number = follower.reach.number
            let record = LogRecord(
                stream: message.stream, nanoseconds: message.nanoseconds, ending: message.ending)
            follower.joiner.take(record, text: message.text, offsets: number..<(number + 1)) { lines.add($0, $1) }
        }
        if isOver { follower.joiner.flush { lines.add($0, $1) } }
        harvest.streams += lines.streams
        harvest.bytes += lines.byteCount
        // Pieces that are held back are asked for again after a restart.
        if !follower.joiner.isWaiting { harvest.reaches.append((place(id), follower.reach.reach)) }
    }
}

/// How far one container's messages are read.
struct EngineLogReach: Equatable {
    var generation: UInt64 = 0
    /// Messages so far.
    private(set) var number: UInt64 = 0
    /// The time of the last one.
    private(set) var nanoseconds: Int64 = 0
    /// How many messages of that time came.
    private var atThatTime: UInt64 = 0
    /// How many messages of that time are yet to be passed over, because they came before.
    private var toSkip: UInt64 = 0

    /// The place an earlier run left; nil for a container that is new.
    init(_ reach: TailPositions.Reach?) {
        guard let reach else { return }
        generation = reach.generation
        number = reach.offset
        let parts = reach.cursor.split(separator: ":")
        guard parts.count == 2, let time = Int64(parts[0]), let count = UInt64(parts[1]) else { return }
        (nanoseconds, atThatTime) = (time, count)
        asked()
    }

    /// The engine is asked again from `nanoseconds` on.
    mutating func asked() { toSkip = atThatTime }

    /// Whether a message is new; it is counted then.
    mutating func accept(_ message: EngineLogMessage) -> Bool {
        if message.isFirst { asked() }
        // The clock may be set back; what comes behind what is known in the stream is new all the same.
        if message.nanoseconds == nanoseconds, toSkip > 0 {
            toSkip -= 1
            return false
        }
        toSkip = 0
        atThatTime = message.nanoseconds == nanoseconds ? atThatTime + 1 : 1
        nanoseconds = message.nanoseconds
        number += 1
        return true
    }

    /// For a checkpoint.
    var reach: TailPositions.Reach {
        TailPositions.Reach(generation: generation, offset: number, mark: nil, cursor: "\(nanoseconds):\(atThatTime)")
    }
}

/// One message of an engine's answer.
struct EngineLogMessage: Equatable, Sendable {
    var stream: LogStream
    var nanoseconds: Int64
    var text: [UInt8]
    var ending: LogRecord.Ending
    /// Whether it is the first of an answer, which begins again at the time it was asked for.
    var isFirst = false
}

/// Reads an engine's answer: frames of eight bytes (stream, three zeros, length) and a message, which is a time, a
/// blank and a text; with a terminal there are no frames and every message is a line. Pure.
struct EngineLogDecoder {
    private let hasTerminal: Bool
    private var pending: [UInt8] = []
    private var isFirst = true

    /// A frame of an engine is much shorter; what is longer is none.
    private static let frameBytesMaximum = 1 << 20

    /// A decoder for the answer about one container.
    init(hasTerminal: Bool) {
        self.hasTerminal = hasTerminal
    }

    /// Takes what came and returns the messages that are whole. Throws when it is no such answer.
    mutating func take(_ bytes: [UInt8]) throws(ByteError) -> [EngineLogMessage] {
        pending.append(contentsOf: bytes)
        var messages: [EngineLogMessage] = []
        var start = 0
        while let (stream, range, end) = try next(from: start) {
            start = end
            guard var message = Self.message(Array(pending[range]), stream) else { continue }
            message.isFirst = isFirst
            isFirst = false
            messages.append(message)
        }
        pending.removeFirst(start)
        return messages
    }

    private func next(from start: Int) throws(ByteError) -> (LogStream, Range<Int>, Int)? {
        if hasTerminal {
            guard let end = pending[start...].firstIndex(of: UInt8(ascii: "\n")) else { return nil }
            return (.standardOutput, start..<(end + 1), end + 1)
        }
        guard pending.count - start >= 8 else { return nil }
        let length = pending[(start + 4)..<(start + 8)].reduce(0) { $0 << 8 | Int($1) }
        guard pending[start] <= 2, length <= Self.frameBytesMaximum else {
            throw ByteError(offset: start, reason: "no frame of an engine's log")
        }
        guard pending.count - start >= 8 + length else { return nil }
        let stream: LogStream = pending[start] == 2 ? .standardError : .standardOutput
        return (stream, (start + 8)..<(start + 8 + length), start + 8 + length)
    }

    private static func message(_ bytes: [UInt8], _ stream: LogStream) -> EngineLogMessage? {
        guard let blank = bytes.firstIndex(of: UInt8(ascii: " ")) else { return nil }
        let time = bytes[..<blank].withUnsafeBytes { Timestamps.nanoseconds(rfc3339: $0) }
        guard let time else { return nil }
        var text = Array(bytes[(blank + 1)...])
        let ending = DockerJSONFormat.ending(&text)
        if text.last == UInt8(ascii: "\r") { text.removeLast() }
        return EngineLogMessage(stream: stream, nanoseconds: time, text: text, ending: ending)
    }
}

/// Asks the engine for one container's messages and holds them until the tail thread takes them.
final class EngineLogStream: Sendable {
    private struct State {
        var messages: [EngineLogMessage] = []
        var bytes = 0
        /// Set when an answer ended; the container may run again.
        var isOver = false
        var since: Int64
        /// The life that is to be asked for, and the one that was read to its end.
        var wanted: Int64?
        var read: Int64 = -1
        var isAsking = false
        var isRunning = false
        var isStopped = false
    }

    private let engine: DockerEngine
    private let container: String
    private let hasTerminal: Bool
    private let waker: Waker
    private let state: Mutex<State>

    /// So much is held before the engine has to wait.
    private static let heldBytesMaximum = 1 << 20

    /// A stream that has not asked yet.
    init(engine: DockerEngine, container: String, hasTerminal: Bool, sinceNanoseconds: Int64, waker: Waker) {
        self.engine = engine
        self.container = container
        self.hasTerminal = hasTerminal
        self.waker = waker
        state = Mutex(State(since: sinceNanoseconds))
    }

    /// What is known of the container: a life that was not read to its end is asked for, also when it is over.
    func isRunning(_ isRunning: Bool, startedNanoseconds: Int64) {
        let begins = state.withLock { state in
            state.isRunning = isRunning
            guard state.read != startedNanoseconds, !state.isStopped else { return false }
            state.wanted = startedNanoseconds
            defer { state.isAsking = true }
            return !state.isAsking
        }
        guard begins else { return }
        Task { await run() }
    }

    /// No more is asked.
    func stop() { state.withLock { $0.isStopped = true } }

    /// Whether nothing is held and nothing is asked for.
    var isDrained: Bool { state.withLock { $0.messages.isEmpty && !$0.isAsking } }

    /// What came, and whether the answer ended behind it.
    func take() -> (messages: [EngineLogMessage], isOver: Bool) {
        state.withLock { state in
            defer {
                state.messages = []
                state.bytes = 0
                state.isOver = false
            }
            return (state.messages, state.isOver)
        }
    }

    private func run() async {
        var pauseMilliseconds = 250
        while let life = state.withLock({ $0.isStopped ? nil : $0.wanted }) {
            do {
                try await follow()
                pauseMilliseconds = 250
                let isDone = state.withLock { state in
                    state.isOver = true
                    // An answer that ended before the container was cut short, by a restart of the engine for example.
                    guard !state.isRunning else { return false }
                    state.read = life
                    if state.wanted == life { state.wanted = nil }
                    return state.wanted == nil
                }
                waker.wake()
                if isDone { break }
                try await Task.sleep(for: .milliseconds(pauseMilliseconds))
            } catch {
                try? await Task.sleep(for: .milliseconds(pauseMilliseconds))
                pauseMilliseconds = min(pauseMilliseconds * 2, 10_000)
                // A container that was removed has nothing more to say.
                if let refusal = error as? DockerEngine.Refusal, refusal.status == 404 { break }
            }
        }
        state.withLock { $0.isAsking = false }
    }

    private func follow() async throws {
        let since = state.withLock { $0.since }
        let answer = try await engine.logs(container, sinceNanoseconds: since)
        var decoder = EngineLogDecoder(hasTerminal: hasTerminal)
        while let piece = try await answer.next() {
            let messages = try decoder.take(piece)
            guard let last = messages.last else { continue }
            var isFull = state.withLock { state in
                state.messages += messages
                state.bytes += messages.reduce(0) { $0 + $1.text.count + 64 }
                state.since = last.nanoseconds
                return state.bytes > Self.heldBytesMaximum
            }
            waker.wake()
            while isFull, !state.withLock({ $0.isStopped }) {
                try await Task.sleep(for: .milliseconds(20))
                isFull = state.withLock { $0.bytes > Self.heldBytesMaximum }
            }
            if state.withLock({ $0.isStopped }) { return }
        }
    }
}
