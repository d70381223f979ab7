internal import Synchronization
internal import Telemetry
internal import Wire

/// Scrapes one target: asks, reads the answer, hands the samples on, and remembers how it went. A target that hangs,
/// floods or talks nonsense costs its own turn only.
final class TargetScraper: Sendable {
    /// What all scrapers of a process share.
    struct Shared: Sendable {
        var sink: any ScrapeSink
        var wallClock: any WallClock
        var monotonicClock: any MonotonicClock
        var budget = ScrapeBudget()
        /// Reads a file of secrets, on a thread that may wait for the disk.
        var readFile: @Sendable (String) async throws -> String
        /// Does what would hold up others for long, on a thread of its own.
        var work: DiskWork?
    }

    private struct State: Sendable {
        var series: ScrapedSeries
        var status: ScrapedTarget
    }

    /// A text longer than this is read apart, so that it delays no other target.
    private static let textBytesAtOnceMaximum = 256 << 10

    let target: ScrapeTarget
    let job: ScrapeJob
    private let shared: Shared
    private let fetcher: ScrapeFetcher
    private let state: Mutex<State>

    /// A scraper of `target`, asking through `http`.
    init(_ target: ScrapeTarget, job: ScrapeJob, http: any HTTPSending, shared: Shared) {
        self.target = target
        self.job = job
        self.shared = shared
        fetcher = ScrapeFetcher(target: target, job: job, http: http, budget: shared.budget, readFile: shared.readFile)
        state = Mutex(
            State(
                series: ScrapedSeries(target, job: job),
                status: ScrapedTarget(
                    pool: job.name, discovered: target.discovered, labels: target.labels, url: target.url,
                    intervalMilliseconds: target.intervalMilliseconds,
                    timeoutMilliseconds: target.timeoutMilliseconds)))
    }

    var status: ScrapedTarget { state.withLock { $0.status } }

    /// Scrapes once; all samples without times of their own get the time `milliseconds`.
    func scrape(atMilliseconds milliseconds: Int64) async {
        let start = shared.monotonicClock.nowNanoseconds
        let answer: Result<ScrapeFetcher.Answer, ScrapeFailure>
        do throws(ScrapeFailure) {
            answer = .success(try await fetcher.fetch())
        } catch {
            // The process stops: that says nothing about the target.
            if Task.isCancelled { return }
            answer = .failure(error)
        }
        let duration: @Sendable () -> Double = { [shared] in Double(shared.monotonicClock.nowNanoseconds - start) / 1e9
        }
        let (batch, outcome) = await read(answer, atMilliseconds: milliseconds, duration)
        if case .success(let answer) = answer { shared.budget.release(answer.bytes) }
        let refusal = await deliver(batch)
        let seconds = duration()
        state.withLock { state in
            state.status.lastScrapeMilliseconds = milliseconds
            state.status.lastDurationSeconds = seconds
            state.status.lastError = outcome.fault?.description ?? refusal ?? ""
            state.status.health = state.status.lastError.isEmpty ? .up : .down
        }
    }

    /// The target is not scraped any more: all its series end now.
    func end() async {
        let milliseconds = shared.wallClock.nowMilliseconds
        let group = state.withLock { $0.series.endAll(atMilliseconds: milliseconds) }
        _ = await deliver(SampleBatch(groups: [group]))
    }

    private func read(
        _ answer: Result<ScrapeFetcher.Answer, ScrapeFailure>, atMilliseconds milliseconds: Int64,
        _ duration: @escaping @Sendable () -> Double
    ) async -> (SampleBatch, ScrapedSeries.Outcome) {
        let body: @Sendable () -> (SampleBatch, ScrapedSeries.Outcome) = { [self] in
            state.withLock { state in
                var outcome = ScrapedSeries.Outcome()
                var group: SampleGroup
                do throws(ScrapeFailure) {
                    let answer = try answer.get()
                    let text = try answer.text(bytesMaximum: job.limits.bodyBytes)
                    (group, outcome) = state.series.read(text, answer.dialect, atMilliseconds: milliseconds)
                } catch {
                    outcome.fault = error
                    group = state.series.fail(atMilliseconds: milliseconds)
                }
                state.series.report(outcome, durationSeconds: duration(), in: &group)
                return (SampleBatch(groups: [group], metadata: state.series.metadataToDeliver), outcome)
            }
        }
        guard let work = shared.work, case .success(let found) = answer,
            found.isCoded || found.bytes > TargetScraper.textBytesAtOnceMaximum
        else { return body() }
        return await work.perform(body)
    }

    /// Hands a batch on; returns why it was not taken.
    private func deliver(_ batch: SampleBatch) async -> String? {
        do {
            let receipt = try await shared.sink.take(batch)
            state.withLock { $0.series.stored(receipt) }
            return nil
        } catch {
            return "the samples were not stored: \(error)"
        }
    }
}

/// The memory that bodies of all scrapes under way may hold together, so that many floods at once do not add up.
final class ScrapeBudget: Sendable {
    /// Four of the largest bodies that are allowed where nothing is configured.
    static let bytesMaximum = 256 << 20

    private let held = Atomic<Int>(0)

    /// Nothing is held.
    init() {}

    /// Takes `bytes`; false when there are not so many left.
    func take(_ bytes: Int) -> Bool {
        guard held.add(bytes, ordering: .relaxed).newValue > ScrapeBudget.bytesMaximum else { return true }
        release(bytes)
        return false
    }

    /// Gives bytes back.
    func release(_ bytes: Int) { held.subtract(bytes, ordering: .relaxed) }
}
