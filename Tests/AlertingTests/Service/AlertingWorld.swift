import Disk
import Query
import Synchronization
import Telemetry
import TestSupport
import Wire

@testable import Alerting

/// A small world around the service: series and lines in memory, a provider that answers by a script, agents, clocks.
final class AlertingWorld: Sendable {
    /// What the provider answers to a call.
    enum Answer: Sendable {
        case reply(HTTPReply)
        case failure(HTTPFailure)

        static let ok = Answer.reply(HTTPReply(status: 200))
    }

    /// A message as the provider saw it.
    struct Call: Sendable, Equatable {
        let key: String
        let body: [UInt8]
        let wasAccepted: Bool
    }

    private struct State {
        var series: [Labels: [Sample]] = [:]
        var lines: [LogLines] = []
        var calls: [Call] = []
        var answers: [Answer] = []
        var agents: [String: String] = ["n1": "agent-1"]
        var heardAt: Int64?
        var reports: [String] = []
        var isAlive: @Sendable () -> Bool = { true }
    }

    private let state = Mutex(State())
    let clock: ManualClock

    init(clock: ManualClock = ManualClock()) {
        self.clock = clock
    }

    var calls: [Call] { state.withLock { $0.calls } }
    var reports: [String] { state.withLock { $0.reports } }
    var lines: [LogLines] { state.withLock { $0.lines } }

    /// What the provider answers next, in order; afterwards it accepts everything.
    func script(_ answers: [Answer]) { state.withLock { $0.answers = answers } }

    /// A process that has died on a simulated disk tells and does nothing any more.
    func setLife(_ isAlive: @escaping @Sendable () -> Bool) { state.withLock { $0.isAlive = isAlive } }

    var isAlive: Bool { state.withLock { $0.isAlive }() }

    /// Adds samples of a series.
    func add(_ labels: Labels, _ samples: [Sample]) {
        state.withLock { $0.series[labels, default: []] += samples }
    }

    /// The last value of a series; nil when it has ended or never was.
    func last(_ labels: Labels) -> Sample? {
        state.withLock { $0.series[labels]?.last }.flatMap { Sample.isStale($0.value) ? nil : $0 }
    }

    func silenceAgent(sinceMilliseconds: Int64) { state.withLock { $0.heardAt = sinceMilliseconds } }

    /// As after a restart of the server, before any agent has sent something.
    func forgetAgents() { state.withLock { $0.agents = [:] } }

    func know(agent: String, on node: String) { state.withLock { $0.agents[node] = agent } }

    func ports(
        storage: any FileStorage, wallClock: (any WallClock)? = nil, monotonic: (any MonotonicClock)? = nil
    ) -> AlertingPorts {
        let engine = Engine(series: self)
        return AlertingPorts(
            storage: storage, folder: "alerting", engine: engine, series: self, logs: nil, samples: self, lines: self,
            http: self, wallClock: wallClock ?? clock, monotonicClock: monotonic ?? clock,
            agentForNode: { node in self.state.withLock { $0.agents[node] } },
            agentHeardAt: { _ in
                self.state.withLock { $0.heardAt } ?? (wallClock ?? self.clock).nowNanoseconds / 1_000_000
            },
            report: { text in self.state.withLock { $0.reports.append(text) } })
    }
}

extension AlertingWorld: SampleAppender, LogAppender {
    func append(_ batch: SampleBatch) async throws -> AppendReceipt {
        state.withLock { state in
            for group in batch.groups {
                for (index, value) in group.values.enumerated() {
                    let labels = group.series[Int(group.seriesIndexes[index])].labels
                    let sample = Sample(milliseconds: group.timesMilliseconds[index], value: value)
                    if let last = state.series[labels]?.last, last.milliseconds >= sample.milliseconds { continue }
                    state.series[labels, default: []].append(sample)
                }
            }
        }
        return AppendReceipt(accepted: batch.sampleCount)
    }

    func append(_ batch: LogBatch) async throws -> LogReceipt {
        state.withLock { $0.lines += batch.streams }
        return LogReceipt(accepted: batch.lineCount)
    }
}

extension AlertingWorld: HTTPSending {
    func send(_ call: HTTPCall) async throws -> HTTPReply {
        guard isAlive else { throw HTTPFailure(.connect, "the process is dead") }
        let answer = state.withLock { state -> Answer in
            let answer = state.answers.isEmpty ? .ok : state.answers.removeFirst()
            var wasAccepted = false
            if case .reply(let reply) = answer { wasAccepted = ReplyJudgement.generic(reply) == .accepted }
            state.calls.append(
                Call(key: call.fields["Idempotency-Key"] ?? "", body: call.body, wasAccepted: wasAccepted))
            return answer
        }
        switch answer {
        case .reply(let reply): return reply
        case .failure(let failure): throw failure
        }
    }

    func open(_ call: HTTPCall) async throws -> any HTTPStream {
        throw HTTPFailure(.connect, "this provider has no streams")
    }
}

extension AlertingWorld: SeriesSource {
    /// The samples of one series within a range, as one chunk.
    private final class Cursor: SeriesCursor {
        let labels: Labels
        private var samples: [Sample]?

        init(labels: Labels, samples: [Sample]) {
            self.labels = labels
            self.samples = samples
        }

        func next(into buffer: inout SampleBuffer) -> Bool {
            guard let samples else { return false }
            buffer.removeAll()
            buffer.timesMilliseconds = samples.map(\.milliseconds)
            buffer.values = samples.map(\.value)
            self.samples = nil
            return true
        }
    }

    func select(_ request: SeriesRequest, in context: QueryContext) throws -> [any SeriesCursor] {
        matching(request).map { Cursor(labels: $0.labels, samples: $0.samples) }
    }

    private func matching(_ request: SeriesRequest) -> [(labels: Labels, samples: [Sample])] {
        state.withLock { state in
            state.series.compactMap { labels, samples in
                guard request.matchers.allSatisfy({ $0.matches(labels) }) else { return nil }
                let within = samples.filter { request.range.contains($0.milliseconds) }
                return within.isEmpty ? nil : (labels, within)
            }.sorted { $0.labels < $1.labels }
        }
    }

    func series(_ request: SeriesRequest, in context: QueryContext) throws -> [Labels] {
        matching(request).map(\.labels)
    }

    func labelNames(_ request: SeriesRequest, in context: QueryContext) throws -> [String] { [] }
    func labelValues(_ name: String, _ request: SeriesRequest, in context: QueryContext) throws -> [String] { [] }
    func metadata(metricName: String?, limit: Int, in context: QueryContext) throws -> [MetricMetadata] { [] }
}
