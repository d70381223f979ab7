internal import Disk
internal import TSDB
internal import Telemetry

/// A start after a crash with a million active series and a full head: how long until samples are taken, and until
/// queries see everything.
enum RestartBenchmark: Benchmark {
    static let name = "restart"
    static let about = "start after a crash with 1,000,000 active series: seconds to ingest and to query"
    private static let targets = 1_000
    private static let seriesPerTarget = 1_000
    /// So many rows are about what the head may hold.
    private static let ticks = 24

    static func run(in folder: String) async throws -> [(what: String, figure: String)] {
        let samples = try await fill("\(folder)/metrics")
        return try await BlockingWork.perform { try measure("\(folder)/metrics", samples: samples) }
    }

    /// Appends scrapes and leaves the folder as a crash would.
    private static func fill(_ folder: String) async throws -> Int {
        let clock = SystemWallClock()
        let store = try await BlockingWork.perform {
            try MetricDatabase.open(storage: SystemStorage(), folder: folder, wallClock: clock)
        }
        var ids = [[SeriesID]](repeating: [], count: targets)
        var generator = SystemRandomNumberGenerator()
        var counters = [Double](repeating: 0, count: seriesPerTarget)
        let start = clock.nowMilliseconds - 3_600_000
        for tick in 0..<ticks {
            for index in counters.indices where index % 3 == 0 {
                counters[index] += Double(generator.next() % 4096)
            }
            for target in 0..<targets {
                let milliseconds = start + Int64(tick) * 15_000 + Int64(target)
                let receipt = try await store.append(batch(target, ids[target], milliseconds, counters))
                if let known = receipt.seriesIDs.first, !known.isEmpty { ids[target] = known }
            }
        }
        try await BlockingWork.perform { try store.close() }
        return ticks * targets * seriesPerTarget
    }

    private static func batch(
        _ target: Int, _ ids: [SeriesID], _ milliseconds: Int64, _ values: [Double]
    ) -> SampleBatch {
        var group = SampleGroup(
            target: Labels(["job": "bench", "instance": "host-\(target):9100"]), intervalMilliseconds: 15_000)
        for (index, value) in values.enumerated() {
            let labels = labels(target, index)
            group.series.append(index < ids.count ? .known(ids[index], labels) : .labels(labels))
            group.seriesIndexes.append(UInt32(index))
            group.timesMilliseconds.append(milliseconds)
            group.values.append(value + Double(target))
        }
        return SampleBatch(groups: [group])
    }

    private static func labels(_ target: Int, _ index: Int) -> Labels {
        var builder = LabelsBuilder()
        builder.add("__name__", "bench_node_metric_\(index / 10)_total")
        builder.add("cpu", "\(index % 10)")
        builder.add("instance", "host-\(target):9100")
        builder.add("job", "bench")
        builder.add("mode", index % 2 == 0 ? "user" : "system")
        return builder.build()
    }

    private static func measure(_ folder: String, samples: Int) throws -> [(what: String, figure: String)] {
        let clock = SystemMonotonicClock()
        let start = clock.nowNanoseconds
        let cpu = BenchText.processNanoseconds()
        var options = MetricDatabaseOptions()
        options.reading = .besideAppends
        let store = try MetricDatabase.open(
            storage: SystemStorage(), folder: folder, options: options, wallClock: SystemWallClock())
        defer { try? store.close() }
        let (isTaken, isWhole) = (Semaphore(), Semaphore())
        store.submit(batch(0, [], SystemWallClock().nowMilliseconds, [1])) { _ in isTaken.post() }
        isTaken.wait()
        let (taken, takenSpent) = (clock.nowNanoseconds, BenchText.processNanoseconds() - cpu)
        store.whenReadBack { isWhole.post() }
        isWhole.wait()
        let (whole, wholeSpent) = (clock.nowNanoseconds, BenchText.processNanoseconds() - cpu)
        guard store.queryHealth == .ready else { throw CommandFailure("the start failed: \(store.queryHealth)") }
        return [
            ("samples in the log", BenchText.rate(Double(samples))),
            ("seconds until a sample is acknowledged", BenchText.rate(Double(taken - start) / 1e9)),
            ("CPU seconds until then", BenchText.rate(Double(takenSpent) / 1e9)),
            ("seconds until queries are answered", BenchText.rate(Double(whole - start) / 1e9)),
            ("CPU seconds until then", BenchText.rate(Double(wholeSpent) / 1e9)),
        ]
    }
}
