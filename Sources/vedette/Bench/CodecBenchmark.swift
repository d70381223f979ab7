internal import Disk
internal import Foundation
internal import TSDB
internal import Telemetry

/// Columns out of blocks: as they are sealed, and as they are when written to be read fast.
enum CodecBenchmark: Benchmark {
    static let name = "codec"
    static let about =
        "samples decoded per second of one core, constant and duplicate columns left out; "
        + "of the blocks in $VEDETTE_BENCH_BLOCKS, or of made-up ones"
    private static let targets = 10
    private static let ticks = 480

    static func run(in folder: String) async throws -> [(what: String, figure: String)] {
        let given = ProcessInfo.processInfo.environment["VEDETTE_BENCH_BLOCKS"]
        if given == nil { try await fill("\(folder)/metrics") }
        let storage = SystemStorage()
        return try await BlockingWork.perform {
            let sealed = try BlockInspection.files(at: given ?? "\(folder)/metrics", in: storage)
            let measurement = DecodeMeasurement(in: storage) { BenchText.processNanoseconds() }
            let hot = try measurement.rewriteHot(sealed, into: folder)
            return try lines("sealed", measurement.run(sealed)) + lines("hot", measurement.run(hot))
        }
    }

    private static func lines(
        _ name: String, _ figures: [DecodeMeasurement.Figure]
    ) -> [(what: String, figure: String)] {
        figures.map { figure in
            let rate = Double(figure.values) / Double(max(1, figure.nanoseconds)) * 1e9
            return ("\(name): \(figure.name), \(figure.columns) columns", BenchText.rate(rate))
        }
    }

    /// Counters, buckets, gauges, decimals and noise, two hours at 15 s.
    private static func fill(_ folder: String) async throws {
        let clock = SystemWallClock()
        let store = try await BlockingWork.perform {
            try MetricDatabase.open(storage: SystemStorage(), folder: folder, wallClock: clock)
        }
        let start = clock.nowMilliseconds - Int64(ticks) * 15_000
        var random = SystemRandomNumberGenerator()
        var totals = [Double](repeating: 0, count: 12)
        for tick in 0..<ticks {
            for target in 0..<targets {
                let labels = Labels(["job": "bench", "instance": "host-\(target)"])
                var group = SampleGroup(target: labels, intervalMilliseconds: 15_000)
                let milliseconds = start + Int64(tick) * 15_000
                func put(_ name: String, _ part: Int, _ value: Double) {
                    let series = labels.setting("__name__", to: name).setting("part", to: "\(part)")
                    group.append(series, milliseconds: milliseconds, value: value)
                }
                for part in totals.indices {
                    totals[part] += Double(Int.random(in: 0..<(1 << part), using: &random))
                    put("bench_total", part, totals[part])
                    put("bench_bucket", part, totals[0...part].reduce(0, +))
                    put("bench_bytes", part, Double(Int.random(in: 0..<(1 << part), using: &random) * 4096))
                    put("bench_ratio", part, Double(Int.random(in: 0..<10_000, using: &random)) / 1000)
                }
                put("bench_noise", 0, Double.random(in: 0..<1, using: &random))
                _ = try await store.append(SampleBatch(groups: [group]))
            }
        }
        try await BlockingWork.perform {
            try store.seal()
            try store.close()
        }
    }
}
