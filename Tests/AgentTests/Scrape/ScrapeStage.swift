import Synchronization
import Telemetry
import TestSupport
import Wire

@testable import Agent

/// Targets that answer from a list, and a store that keeps what scrapes give it.
final class ScrapeStage: HTTPSending, ScrapeSink {
    struct State: Sendable {
        var replies: [HTTPReply] = []
        var calls: [HTTPCall] = []
        var batches: [SampleBatch] = []
        var refusal: AppendRefusal?
    }

    /// The body of a reply, in one piece.
    private final class Stream: HTTPStream {
        let status: Int
        let fields: [HTTPField]
        private let rest: Mutex<[UInt8]?>

        init(_ reply: HTTPReply) {
            status = reply.status
            fields = reply.fields
            rest = Mutex(reply.body)
        }

        func next() async throws -> [UInt8]? {
            rest.withLock { rest in
                defer { rest = nil }
                return rest
            }
        }
    }

    let state = Mutex(State())
    let clock = ManualClock(nanoseconds: 1_700_000_000_000_000_000)

    /// The next answer.
    func reply(_ text: String, status: Int = 200, _ fields: HTTPField...) {
        state.withLock { $0.replies.append(HTTPReply(status: status, fields: fields, body: Array(text.utf8))) }
    }

    func send(_ call: HTTPCall) async throws -> HTTPReply { throw HTTPFailure(.connect, "scrapes are streamed") }

    func open(_ call: HTTPCall) async throws -> any HTTPStream {
        let reply = state.withLock { state -> HTTPReply? in
            state.calls.append(call)
            return state.replies.isEmpty ? nil : state.replies.removeFirst()
        }
        guard let reply else { throw HTTPFailure(.connect, "connection refused") }
        return Stream(reply)
    }

    func take(_ batch: SampleBatch) async throws -> AppendReceipt {
        try state.withLock { state in
            if let refusal = state.refusal { throw refusal }
            state.batches.append(batch)
            let ids = batch.groups.map { group in group.series.indices.map { SeriesID(rawValue: UInt64($0 + 1)) } }
            return AppendReceipt(accepted: batch.sampleCount, seriesIDs: ids)
        }
    }

    /// A scraper of the only target of `job`.
    func scraper(
        _ job: ScrapeJob, readFile: @escaping @Sendable (String) async throws -> String = { $0 }
    ) throws
        -> TargetScraper
    {
        var job = job
        if job.groups.isEmpty { job.groups = [ScrapeJob.TargetGroup(addresses: ["web1:9100"])] }
        let discovery = job.discover()
        guard let target = discovery.targets.first else { throw ScrapeFailure(discovery.faults.joined()) }
        let shared = TargetScraper.Shared(
            sink: self, wallClock: clock, monotonicClock: clock, readFile: readFile, work: nil)
        return TargetScraper(target, job: job, http: self, shared: shared)
    }

    /// The samples of the last batch as text, sorted: `name{labels} value @time`, stale markers as `stale`.
    var lastSamples: [String] {
        guard let batch = state.withLock({ $0.batches.last }) else { return [] }
        return batch.groups.flatMap { group in
            group.values.indices.map { index in
                let value = group.values[index]
                let text = Sample.isStale(value) ? "stale" : FloatText.plain(value)
                let labels = group.series[Int(group.seriesIndexes[index])].labels
                return "\(labels) \(text) @\(group.timesMilliseconds[index])"
            }
        }.sorted()
    }
}
