internal import Disk
internal import LogStore
internal import TSDB
internal import Telemetry

/// Samples into the store: 100 targets of 200 series, tick by tick, each batch acknowledged before the next.
enum SampleIngestBenchmark: Benchmark {
    static let name = "samples"
    static let about = "samples per CPU second into the metric store, acknowledged, and bytes per sample when sealed"
    private static let targets = 100
    private static let seriesPerTarget = 200
    private static let ticks = 120

    static func run(in folder: String) async throws -> [(what: String, figure: String)] {
        let clock = SystemWallClock()
        let store = try await BlockingWork.perform {
            try MetricDatabase.open(storage: SystemStorage(), folder: "\(folder)/metrics", wallClock: clock)
        }
        let labels = (0..<targets).map { target in
            (0..<seriesPerTarget).map { series in
                Labels([
                    "__name__": "bench_metric_\(series % 20)_total", "job": "bench", "instance": "host-\(target)",
                    "part": "\(series / 20)",
                ])
            }
        }
        let start = (clock.nowMilliseconds - Int64(ticks) * 1_000) / 1_000 * 1_000
        var ids = [[SeriesID]](repeating: [], count: targets)
        let before = BenchText.processNanoseconds()
        for tick in 0..<ticks {
            for target in 0..<targets {
                let batch = batch(labels[target], ids[target], target, tick, start)
                let receipt = try await store.append(batch)
                if let known = receipt.seriesIDs.first, !known.isEmpty { ids[target] = known }
            }
        }
        let spent = Double(BenchText.processNanoseconds() - before)
        try await BlockingWork.perform { try store.seal() }
        let samples = Double(targets * seriesPerTarget * ticks)
        let bytes = try SystemStorage().bytes(below: "\(folder)/metrics/blocks")
        try await BlockingWork.perform { try store.close() }
        return [
            ("samples", BenchText.rate(samples)),
            ("per CPU second", BenchText.rate(samples / spent * 1e9)),
            ("bytes per sample, sealed", BenchText.rate(Double(bytes) / samples)),
        ]
    }

    private static func batch(
        _ labels: [Labels], _ ids: [SeriesID], _ target: Int, _ tick: Int, _ start: Int64
    ) -> SampleBatch {
        var group = SampleGroup(
            target: Labels(["job": "bench", "instance": "host-\(target)"]), intervalMilliseconds: 1_000)
        for (index, labels) in labels.enumerated() {
            group.series.append(index < ids.count ? .known(ids[index], labels) : .labels(labels))
            group.seriesIndexes.append(UInt32(index))
            group.timesMilliseconds.append(start + Int64(tick) * 1_000)
            group.values.append(Double(tick * (index % 7 + 1) + target))
        }
        return SampleBatch(groups: [group])
    }
}

/// Lines into the store: 50 streams, batches of 200 lines, each acknowledged before the next.
enum LineIngestBenchmark: Benchmark {
    static let name = "lines"
    static let about = "bytes of lines per CPU second into the log store, acknowledged, and their share when sealed"
    private static let streams = 50
    private static let batches = 40
    private static let linesPerBatch = 200

    static func run(in folder: String) async throws -> [(what: String, figure: String)] {
        let clock = SystemWallClock()
        let store = try await BlockingWork.perform {
            try LogDatabase.open(storage: SystemStorage(), folder: "\(folder)/logs", wallClock: clock)
        }
        var raw = 0
        let before = BenchText.processNanoseconds()
        for batch in 0..<batches {
            for stream in 0..<streams {
                let lines = lines(stream, batch, clock.nowNanoseconds)
                raw += lines.bytes.count
                _ = try await store.append(LogBatch(streams: [lines]))
            }
        }
        let spent = Double(BenchText.processNanoseconds() - before)
        try await BlockingWork.perform { try store.seal() }
        let bytes = try SystemStorage().bytes(below: "\(folder)/logs/parts")
        try await BlockingWork.perform { try store.close() }
        return [
            ("lines", BenchText.rate(Double(streams * batches * linesPerBatch))),
            ("raw bytes", ByteSizes.binary(Int64(raw))),
            ("per CPU second", ByteSizes.binary(Int64(Double(raw) / spent * 1e9))),
            ("raw bytes per byte stored", BenchText.rate(Double(raw) / Double(max(1, bytes)))),
        ]
    }

    private static func lines(_ stream: Int, _ batch: Int, _ now: Int64) -> LogLines {
        var lines = LogLines(
            labels: Labels(["container": "bench-\(stream)"]),
            origin: LogOrigin(source: "bench/\(stream)", generation: 1))
        var offset = UInt64(batch) << 20
        for line in 0..<linesPerBatch {
            let text = Array(
                ("10.0.\(stream).\(line % 250) - - \"GET /item/\(batch * 7919 + line * 31) HTTP/1.1\" "
                    + "200 \(line * 37 % 9_000)").utf8)
            lines.append(
                nanoseconds: now + Int64(line), line: text, offsets: offset..<offset + UInt64(text.count + 1))
            offset += UInt64(text.count + 1)
        }
        return lines
    }
}

extension SystemStorage {
    /// The sizes of all files below a folder.
    fileprivate func bytes(below path: String) throws -> UInt64 {
        try list(path).reduce(0) { sum, entry in
            sum + (entry.isFolder ? try bytes(below: "\(path)/\(entry.name)") : entry.bytes)
        }
    }
}
