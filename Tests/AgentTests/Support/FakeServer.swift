import Synchronization
import Telemetry
import Wire

/// A server in memory that keeps the agent protocol's promises: it drops what it has, asks for declarations it lost,
/// and can be away. Calls to unix sockets go to another sender.
final class FakeServer: HTTPSending {
    struct Stored: Sendable {
        var delivery: DeliveryIdentity
        var signal: AgentBatch.Signal
        /// When it came, wall clock.
        var nanoseconds: Int64
    }

    struct State: Sendable {
        var stored: [Stored] = []
        /// The last sequence by sender and by which store it went to.
        var marks: [String: UInt64] = [:]
        var duplicates = 0
        var isAway = false
        /// Stores, and then does not answer, so many times.
        var answersLost = 0
        var verdicts: [AgentReply] = []
        var commands: [AgentCommand] = []
        var reports: [CommandReport] = []
        var calls = 0
    }

    let state = Mutex(State())
    private let dictionaries = Mutex(SeriesDictionaries())
    private let sockets: (any HTTPSending)?

    init(sockets: (any HTTPSending)? = nil) {
        self.sockets = sockets
    }

    /// Forgets all declarations, as a restart does.
    func forgetDeclarations() { dictionaries.withLock { $0 = SeriesDictionaries() } }

    func send(_ call: HTTPCall) async throws -> HTTPReply {
        if case .unix = call.endpoint.connection, let sockets { return try await sockets.send(call) }
        let isAway = state.withLock { state in
            state.calls += 1
            return state.isAway
        }
        if isAway { throw HTTPFailure(.connect, "nobody there") }
        switch call.target.prefix(while: { $0 != "?" }) {
        case "/agent/v1/batch": return try batch(call.body)
        case "/agent/v1/commands": return try await commands()
        case "/agent/v1/reports":
            let reports = try CommandReportCodec.decode(call.body)
            state.withLock { $0.reports += reports }
            return HTTPReply(status: 204)
        default: return HTTPReply(status: 404)
        }
    }

    func open(_ call: HTTPCall) async throws -> any HTTPStream {
        guard let sockets else { throw HTTPFailure(.connect, "no sockets in this test") }
        return try await sockets.open(call)
    }

    private func batch(_ body: [UInt8]) throws -> HTTPReply {
        let reply = try body.withUnsafeBytes { try take($0) }
        let isLost = state.withLock { state in
            guard state.answersLost > 0 else { return false }
            state.answersLost -= 1
            return true
        }
        if isLost { throw HTTPFailure(.head, "the answer was lost") }
        return HTTPReply(status: 200, body: AgentReplyCodec.encode(reply))
    }

    private func take(_ raw: UnsafeRawBufferPointer) throws -> AgentReply {
        if let verdict = state.withLock({ $0.verdicts.isEmpty ? nil : $0.verdicts.removeFirst() }) { return verdict }
        let decoder = try AgentBatchDecoder(raw)
        let dictionary = dictionaries.withLock {
            $0.dictionary(agent: decoder.information.agent, epoch: decoder.delivery.sender.epoch)
        }
        let decoded = Result { try decoder.batch(resolving: dictionary) }
        if case .failure(let error) = decoded, case .undeclared? = error as? AgentProtocolError {
            return AgentReply(verdict: .redeclare, marks: DeliveryMarks(synced: 0, archived: 0))
        }
        return store(decoder.delivery, try decoded.get().batch.signal)
    }

    private func store(_ delivery: DeliveryIdentity, _ signal: AgentBatch.Signal) -> AgentReply {
        let isSamples = if case .samples = signal { true } else { false }
        let key = "\(delivery.sender) \(isSamples)"
        return state.withLock { state in
            if delivery.sequence <= state.marks[key] ?? 0 {
                state.duplicates += 1
            } else {
                state.marks[key] = delivery.sequence
                let now = SystemWallClock().nowNanoseconds
                state.stored.append(Stored(delivery: delivery, signal: signal, nanoseconds: now))
            }
            let mark = state.marks[key] ?? 0
            return AgentReply(verdict: .stored, marks: DeliveryMarks(synced: mark, archived: mark))
        }
    }

    private func commands() async throws -> HTTPReply {
        let waiting = state.withLock { state in
            defer { state.commands = [] }
            return state.commands
        }
        if waiting.isEmpty {
            try await Task.sleep(for: .milliseconds(20))
            return HTTPReply(status: 204)
        }
        return HTTPReply(status: 200, body: AgentCommandCodec.encode(waiting))
    }

    // MARK: What was stored

    var lines: [String] {
        state.withLock { $0.stored }.flatMap { stored -> [String] in
            guard case .lines(let batch) = stored.signal else { return [] }
            return batch.streams.flatMap { stream in
                (0..<stream.count).map { String(decoding: stream.line($0), as: UTF8.self) }
            }
        }
    }

    /// The lines of one container.
    func lines(of container: String) -> [String] {
        state.withLock { $0.stored }.flatMap { stored -> [String] in
            guard case .lines(let batch) = stored.signal else { return [] }
            return batch.streams.filter { $0.labels["container"] == container }.flatMap { stream in
                (0..<stream.count).map { String(decoding: stream.line($0), as: UTF8.self) }
            }
        }
    }

    /// The lines of one container, each byte of its source once, as a log store keeps them.
    func distinctLines(of container: String) -> [String] {
        var seen: Set<String> = []
        return state.withLock { $0.stored }.flatMap { stored -> [String] in
            guard case .lines(let batch) = stored.signal else { return [] }
            return batch.streams.filter { $0.labels["container"] == container }.flatMap { stream in
                (0..<stream.count).compactMap { index in
                    let origin = stream.origin.map { "\($0.source) \($0.generation) \(stream.offsetStarts[index])" }
                    guard seen.insert(origin ?? "\(seen.count)").inserted else { return nil }
                    return String(decoding: stream.line(index), as: UTF8.self)
                }
            }
        }
    }

    var losses: [LogLoss] {
        state.withLock { $0.stored }.flatMap { stored -> [LogLoss] in
            guard case .lines(let batch) = stored.signal else { return [] }
            return batch.losses
        }
    }

    var events: [HostEvent] {
        state.withLock { $0.stored }.flatMap { stored -> [HostEvent] in
            guard case .events(let events) = stored.signal else { return [] }
            return events
        }
    }

    /// All values of a metric in the order they came, with whether they were urgent.
    func values(_ metric: String, where isWanted: (Labels) -> Bool = { _ in true }) -> [(value: Double, isUrgent: Bool)]
    {
        state.withLock { $0.stored }.flatMap { stored -> [(value: Double, isUrgent: Bool)] in
            guard case .samples(let batch, let isUrgent) = stored.signal else { return [] }
            return batch.groups.flatMap { group in
                group.values.indices.compactMap { index in
                    let labels = group.series[Int(group.seriesIndexes[index])].labels
                    return labels.metricName == metric && isWanted(labels) ? (group.values[index], isUrgent) : nil
                }
            }
        }
    }

    /// How long after it was seen each event of a kind came, in milliseconds.
    func delays(of kind: HostEvent.Kind) -> [Double] {
        state.withLock { $0.stored }.flatMap { stored -> [Double] in
            guard case .events(let events) = stored.signal else { return [] }
            return events.filter { $0.kind == kind }.map { Double(stored.nanoseconds - $0.nanoseconds) / 1e6 }
        }
    }

    /// Waits until `condition` holds; false after `seconds`.
    func waits(seconds: Double, until condition: () -> Bool) async -> Bool {
        for _ in 0..<Int(seconds * 100) {
            if condition() { return true }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return condition()
    }
}
