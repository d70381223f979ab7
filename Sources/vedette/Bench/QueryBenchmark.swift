internal import Disk
internal import Query
internal import TSDB
internal import Telemetry

/// PromQL over a store of its own: 50 targets of 40 counters, five hours at 15 s.
enum QueryBenchmark: Benchmark {
    static let name = "query"
    static let about = "samples per CPU second that PromQL goes through, before and after sealing, on one core"
    private static let targets = 50
    private static let seriesPerTarget = 40
    private static let ticks = 1_200
    private static let intervalMilliseconds: Int64 = 15_000

    /// What is measured, at steps of a minute over all of the time, or once at its end.
    private static let queries: [(expression: String, isInstant: Bool)] = [
        ("sum(rate(bench_total[5m]))", false),
        ("sum by (instance) (rate(bench_total[5m]))", false),
        ("count by (instance) (bench_total)", false),
        ("topk(5, rate(bench_total[5m]))", false),
        ("quantile_over_time(0.99, bench_total[10m])", false),
        ("sum(count_over_time(bench_total[6h]))", true),
    ]

    static func run(in folder: String) async throws -> [(what: String, figure: String)] {
        let clock = SystemWallClock()
        let store = try await BlockingWork.perform {
            try MetricDatabase.open(storage: SystemStorage(), folder: "\(folder)/metrics", wallClock: clock)
        }
        let end = clock.nowMilliseconds / intervalMilliseconds * intervalMilliseconds
        try await fill(store, endingAt: end)
        var figures = try await BlockingWork.perform { try measure(store, endingAt: end, "head and blocks") }
        figures += try await BlockingWork.perform {
            try store.seal()
            return try measure(store, endingAt: end, "sealed")
        }
        try await BlockingWork.perform { try store.close() }
        return figures
    }

    private static func fill(_ store: MetricDatabase, endingAt end: Int64) async throws {
        let labels = (0..<targets).map { target in
            (0..<seriesPerTarget).map { series in
                Labels([
                    "__name__": "bench_total", "job": "bench", "instance": "host-\(target)", "part": "\(series)",
                ])
            }
        }
        var ids = [[SeriesID]](repeating: [], count: targets)
        for tick in 0..<ticks {
            let time = end - Int64(ticks - tick) * intervalMilliseconds
            let groups = (0..<targets).map { target in
                var group = SampleGroup(
                    target: Labels(["job": "bench", "instance": "host-\(target)"]),
                    intervalMilliseconds: intervalMilliseconds)
                for series in 0..<seriesPerTarget {
                    let known = series < ids[target].count ? ids[target][series] : nil
                    group.series.append(
                        known.map { .known($0, labels[target][series]) } ?? .labels(labels[target][series]))
                    group.seriesIndexes.append(UInt32(series))
                    group.timesMilliseconds.append(time)
                    // Counters that rise by a little more or less each time.
                    group.values.append(Double(tick * (series + 3) + (tick * 31 + target * 7 + series) % 11))
                }
                return group
            }
            let receipt = try await store.append(SampleBatch(groups: groups))
            for (target, known) in receipt.seriesIDs.enumerated() where !known.isEmpty { ids[target] = known }
        }
    }

    private static func measure(
        _ store: MetricDatabase, endingAt end: Int64, _ state: String
    ) throws -> [(what: String, figure: String)] {
        let engine = Engine(series: store)
        let start = end - Int64(ticks) * intervalMilliseconds
        return try queries.map { expression, isInstant in
            var best = Int64.max
            var statistics = QueryStatistics()
            for _ in 0..<5 {
                let context = QueryContext(clock: SystemMonotonicClock())
                let before = BenchText.processNanoseconds()
                if isInstant {
                    _ = try engine.instant(expression, atMilliseconds: end, in: context)
                } else {
                    _ = try engine.range(
                        expression, startMilliseconds: start, endMilliseconds: end, stepMilliseconds: 60_000,
                        in: context)
                }
                best = min(best, BenchText.processNanoseconds() - before)
                statistics = context.statistics
            }
            let milliseconds = BenchText.rate(Double(best) / 1e6)
            let samples = Double(statistics.samplesDecoded) / Double(max(1, best)) * 1e3
            let decoded =
                statistics.chunksSkipped > 0
                ? "\(statistics.chunksSkipped) chunks answered by headers" : "\(BenchText.rate(samples)) M samples/s"
            return ("\(expression), \(state)", "\(milliseconds) ms, \(decoded)")
        }
    }
}
