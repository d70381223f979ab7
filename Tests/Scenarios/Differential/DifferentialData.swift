internal import TestSupport

/// The series that both servers get: gauges, counters with resets, classic histograms, special values, series that come
/// and go. Values are multiples of a quarter, so that sums are exact in any order.
///
/// Prometheus 3 leaves out a sample that lies exactly at the far end of a range and 2 takes it in: samples lie 7 ms
/// behind a whole second and queries half a second, so that there never is one.
struct DifferentialData {
    /// The first sample, milliseconds since 1970.
    static let startMilliseconds: Int64 = 1_700_000_000_007
    static let spanSeconds = 3_600
    static let metrics = ["g", "other", "total", "few", "info", "odd", "gone", "hist_bucket", "rank"]

    /// A series: its labels with the name first, and its samples in the order of time.
    struct Series {
        var labels: [(String, String)]
        var samples: [(milliseconds: Int64, value: Double)] = []
    }

    private(set) var series: [Series] = []
    private var generator: SeededGenerator

    /// The data of a seed.
    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
        for job in ["a", "b"] {
            for instance in 0..<3 {
                let target = [("job", job), ("instance", "i\(instance)")]
                addWalk("g", target + [("zone", instance == 1 ? "x" : "y")])
                if job != "b" || instance != 2 { addWalk("other", target) }
                addCounter(target)
                addHistogram(target)
                add("info", target + [("version", "v\(instance)")]) { _, _ in 1 }
                let rank = (job == "a" ? 0 : 1) + 2 * instance
                add("rank", target) { generator, _ in Double(1_000 * rank + generator.int(in: 0..<900)) }
            }
            add("few", [("job", job)]) { _, second in Double(second / 600) }
            addComingAndGoing([("job", job)])
        }
        let special: [(String, Double)] = [
            ("nan", .nan), ("inf", .infinity), ("neginf", -.infinity), ("zero", 0), ("negative", -2.5),
        ]
        for (kind, value) in special {
            add("odd", [("kind", kind)]) { generator, _ in
                generator.oneIn(3) ? Double(generator.int(in: -2..<3)) : value
            }
        }
    }

    private mutating func add(
        _ name: String, _ labels: [(String, String)], stepSeconds: Int = 15, isWhole: Bool = false,
        _ value: (inout SeededGenerator, Int) -> Double?
    ) {
        var series = Series(labels: ([("__name__", name)] + labels).sorted { $0.0 < $1.0 })
        for second in stride(from: 0, to: DifferentialData.spanSeconds, by: stepSeconds) {
            // A scrape is late now and then, or missed.
            let late = generator.oneIn(5) ? generator.int(in: 1..<4) : 0
            guard isWhole || !generator.oneIn(40), let value = value(&generator, second) else { continue }
            let time = DifferentialData.startMilliseconds + Int64(second + late) * 1_000
            series.samples.append((milliseconds: time, value: value))
        }
        self.series.append(series)
    }

    private mutating func addWalk(_ name: String, _ labels: [(String, String)]) {
        var level = generator.int(in: 20..<200)
        add(name, labels) { generator, _ in
            level = max(-40, level + generator.int(in: -6..<7))
            return Double(level) / 4
        }
    }

    private mutating func addCounter(_ labels: [(String, String)]) {
        var count = 100_000 + generator.int(in: 0..<40)
        add("total", labels, isWhole: true) { generator, _ in
            // A reset, but never down to where counters are extrapolated with care.
            count = generator.oneIn(50) ? count / 2 : count + generator.int(in: 0..<30)
            return Double(count)
        }
    }

    private mutating func addHistogram(_ labels: [(String, String)]) {
        let bounds = ["0.25", "0.5", "1", "5", "+Inf"]
        var counts = [Int](repeating: 100_000, count: bounds.count)
        var rows: [[Int]] = []
        for _ in stride(from: 0, to: DifferentialData.spanSeconds, by: 15) {
            if generator.oneIn(90) { counts = counts.map { $0 / 2 } }
            for index in counts.indices { counts[index] += generator.int(in: 0..<6) }
            rows.append(counts.indices.map { counts[...$0].reduce(0, +) })
        }
        for (index, bound) in bounds.enumerated() {
            add("hist_bucket", labels + [("le", bound)], isWhole: true) { _, second in Double(rows[second / 15][index])
            }
        }
    }

    private mutating func addComingAndGoing(_ labels: [(String, String)]) {
        var isThere = true
        add("gone", labels, stepSeconds: 30) { generator, second in
            if generator.oneIn(12) {
                isThere.toggle()
                // The stale marker: the series ended here.
                if !isThere { return Double(bitPattern: 0x7ff0_0000_0000_0002) }
            }
            return isThere ? Double(second) / 4 : nil
        }
    }

    /// Remote-write requests in the order of time, so that no server sees a sample come late.
    var batches: [[UInt8]] {
        let spanMilliseconds = Int64(300_000)
        return stride(from: 0, to: Int64(DifferentialData.spanSeconds) * 1_000 + 10_000, by: 300_000).map { offset in
            let start = DifferentialData.startMilliseconds + offset
            return ProtobufWriter.message { request in
                for one in series {
                    let samples = one.samples.filter { (start..<start + spanMilliseconds).contains($0.milliseconds) }
                    if !samples.isEmpty { request.put(1, ProtobufWriter.series(one.labels, samples)) }
                }
            }
        }
    }
}
