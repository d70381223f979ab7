package import Disk
internal import Synchronization
package import Telemetry
internal import Transport
package import Wire

/// The scrape loop: one task per target, each with its own turn in the interval, over jobs that a reload may change.
package final class ScrapeService: Sendable, TargetSource {
    /// What the loop works through.
    package struct Ports: Sendable {
        package var sink: any ScrapeSink
        package var storage: any FileStorage
        package var wallClock: any WallClock
        package var monotonicClock: any MonotonicClock
        /// The client for a job; each job has its own, with its TLS settings.
        package var client: @Sendable (ScrapeJob) -> any HTTPSending
        package var notify: @Sendable (AgentNotice) -> Void

        /// Ports; what has a default is the system's.
        package init(
            sink: any ScrapeSink, storage: any FileStorage, wallClock: any WallClock = SystemWallClock(),
            monotonicClock: any MonotonicClock = SystemMonotonicClock(),
            client: @escaping @Sendable (ScrapeJob) -> any HTTPSending = ScrapeService.client,
            notify: @escaping @Sendable (AgentNotice) -> Void
        ) {
            self.sink = sink
            self.storage = storage
            self.wallClock = wallClock
            self.monotonicClock = monotonicClock
            self.client = client
            self.notify = notify
        }
    }

    private struct Running: Sendable {
        var job: ScrapeJob
        var scraper: TargetScraper
        var task: Task<Void, Never>?
    }

    private struct State: Sendable {
        var running: [ScrapeTarget.Key: Running] = [:]
        var dropped: [ScrapedTarget] = []
        /// Targets that were taken out and are ending their series.
        var ending: [Task<Void, Never>] = []
        var isRunning = false
    }

    /// Scrapes this close to their time, as a share of the interval, are stamped with it: even times pack better.
    private static let toleranceShare: Int64 = 100
    private static let toleranceMillisecondsMaximum: Int64 = 10
    private static let secretBytesMaximum = 64 << 10

    private let ports: Ports
    private let notices: Notices
    private let files = DiskWork()
    private let texts = DiskWork()
    private let state = Mutex(State())

    /// A loop without targets.
    package init(_ ports: Ports) {
        self.ports = ports
        notices = Notices(ports.notify)
    }

    /// A client that keeps one connection per target from scrape to scrape.
    package static func client(_ job: ScrapeJob) -> any HTTPSending {
        let options = HTTPClient.Options(
            idleMilliseconds: min(job.intervalMilliseconds + 5_000, 120_000), idlePerPeerMaximum: 1,
            idleTotalMaximum: 10_000)
        return HTTPClient(options: options, tlsProfiles: job.tls.map { [job.name: $0] } ?? [:])
    }

    package var activeTargets: [ScrapedTarget] {
        state.withLock { $0.running.values.map(\.scraper.status) }.sorted { ($0.pool, $0.url) < ($1.pool, $1.url) }
    }

    package var droppedTargets: [ScrapedTarget] { state.withLock { $0.dropped } }

    /// Takes over jobs: targets that stay go on undisturbed, new ones begin, the series of those taken out end.
    package func apply(_ jobs: [ScrapeJob]) {
        var wanted: [ScrapeTarget.Key: (target: ScrapeTarget, job: ScrapeJob)] = [:]
        var dropped: [ScrapedTarget] = []
        for job in jobs {
            let discovery = job.discover()
            for fault in discovery.faults { notices.say(.error, about: fault, "not scraped: \(fault)") }
            for labels in discovery.dropped {
                dropped.append(
                    ScrapedTarget(
                        pool: job.name, discovered: Labels(labels), labels: .empty, url: "",
                        intervalMilliseconds: job.intervalMilliseconds, timeoutMilliseconds: job.timeoutMilliseconds))
            }
            for target in discovery.targets where wanted[target.key] == nil { wanted[target.key] = (target, job) }
        }
        let shared = TargetScraper.Shared(
            sink: ports.sink, wallClock: ports.wallClock, monotonicClock: ports.monotonicClock, budget: budget,
            readFile: { [weak self] in try await self?.secret($0) ?? "" }, work: texts)
        state.withLock { state in
            state.dropped = dropped
            for (key, running) in state.running {
                // A job that differs in anything but its groups is another one.
                if let next = wanted[key], next.job.isSame(as: running.job) {
                    wanted[key] = nil
                    continue
                }
                state.running[key] = nil
                running.task?.cancel()
                let isReplaced = wanted[key] != nil
                state.ending.append(
                    Task {
                        await running.task?.value
                        // Its successor has the same series and goes on with them.
                        if !isReplaced { await running.scraper.end() }
                    })
            }
            var clients: [String: any HTTPSending] = [:]
            for (key, entry) in wanted {
                let client = clients[entry.job.name] ?? ports.client(entry.job)
                clients[entry.job.name] = client
                let scraper = TargetScraper(entry.target, job: entry.job, http: client, shared: shared)
                state.running[key] = Running(
                    job: entry.job, scraper: scraper, task: state.isRunning ? loop(scraper) : nil)
            }
        }
    }

    /// Scrapes until its task is cancelled. A stop ends no series: the next start goes on with them.
    package func run() async {
        let threads = [
            AgentThread(name: "scrape-files") { [files] in files.run() },
            AgentThread(name: "scrape-texts") { [texts] in texts.run() },
        ]
        if threads.contains(where: { $0 == nil }) {
            files.close()
            texts.close()
        }
        state.withLock { state in
            state.isRunning = true
            for (key, running) in state.running { state.running[key]?.task = loop(running.scraper) }
        }
        let (never, end) = AsyncStream<Never>.makeStream()
        await withTaskCancellationHandler {
            for await _ in never {}
        } onCancel: {
            end.finish()
        }
        let tasks = state.withLock { state in
            state.isRunning = false
            return state.running.values.compactMap(\.task) + state.ending
        }
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
        files.close()
        texts.close()
        for thread in threads { await thread?.ended() }
    }

    private let budget = ScrapeBudget()

    private func loop(_ scraper: TargetScraper) -> Task<Void, Never> {
        let clock = ports.wallClock
        return Task {
            var last: Int64?
            while !Task.isCancelled {
                let now = clock.nowMilliseconds
                let due = scraper.target.nextMilliseconds(after: last, now: now)
                guard (try? await Task.sleep(for: .milliseconds(due - now))) != nil else { return }
                last = due
                await scraper.scrape(
                    atMilliseconds: ScrapeService.stamp(
                        due: due, now: clock.nowMilliseconds, intervalMilliseconds: scraper.target.intervalMilliseconds)
                )
            }
        }
    }

    /// The time of a scrape that was due at `due` and begins at `now`.
    static func stamp(due: Int64, now: Int64, intervalMilliseconds: Int64) -> Int64 {
        let tolerance = min(intervalMilliseconds / toleranceShare, toleranceMillisecondsMaximum)
        return abs(now - due) <= tolerance ? due : now
    }

    private func secret(_ path: String) async throws -> String {
        let storage = ports.storage
        let result: Result<String, any Error> = await files.perform {
            Result {
                guard
                    let bytes = try AtomicFile.read(
                        path, in: storage, maximumBytes: ScrapeService.secretBytesMaximum)
                else { throw ScrapeFailure("there is no file \(path)") }
                let text = String(decoding: bytes, as: UTF8.self)
                return text.trimmingWhitespace()
            }
        }
        return try result.get()
    }
}

extension ScrapeJob {
    /// Whether a target of this job is scraped the same way by `other`.
    fileprivate func isSame(as other: ScrapeJob) -> Bool {
        var (left, right) = (self, other)
        left.groups = []
        right.groups = []
        return left == right
    }
}

extension String {
    /// Without white space and line ends around it, as secrets in files have them.
    fileprivate func trimmingWhitespace() -> String {
        let front = drop { $0.isWhitespace }
        guard let last = front.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(front[...last])
    }
}
