internal import Telemetry
internal import TestSupport

@testable import Wire

/// Batches for tests: fixed ones for golden bytes, random ones for round trips.
enum BatchExamples {
    static let agent = "00112233445566778899aabbccddeeff"

    static let information = AgentInformation(
        agent: agent, node: "node1", version: "1.0.0", sentNanoseconds: 1_700_000_000_000_000_000)

    static func delivery(_ sequence: UInt64, lane: DeliveryIdentity.Lane = .live, epoch: UInt64 = 1) -> DeliveryIdentity
    {
        DeliveryIdentity(sender: .init(agent: agent, epoch: epoch, lane: lane), sequence: sequence)
    }

    static func batch(_ signal: AgentBatch.Signal, sequence: UInt64 = 1) -> AgentBatch {
        AgentBatch(information: information, delivery: delivery(sequence), signal: signal)
    }

    /// One tick of one container: two series, one whole and one broken value.
    static let tick: SampleBatch = {
        var group = SampleGroup(target: Labels(["job": "vedette", "instance": "node1"]), intervalMilliseconds: 1000)
        let base = Labels(["job": "vedette", "instance": "node1", "name": "web"])
        group.append(
            base.setting("__name__", to: "container_memory_usage_bytes"), milliseconds: 1_700_000_000_000,
            value: 1_048_576)
        group.append(
            base.setting("__name__", to: "container_cpu_usage_seconds_total"), milliseconds: 1_700_000_000_000,
            value: 0.25)
        return SampleBatch(groups: [group])
    }()

    /// Two lines of one file, the second without its line end yet, and a loss.
    static let lines: LogBatch = {
        let labels = Labels(["container": "web"])
        let origin = LogOrigin(source: "node1/8:1:42", generation: 3)
        var stream = LogLines(labels: labels, origin: origin)
        stream.append(nanoseconds: 1_700_000_000_000_000_001, line: "up".utf8, offsets: 0..<90)
        stream.append(
            nanoseconds: 1_700_000_000_000_000_002, line: [0xff, 0x00], offsets: 90..<170,
            metadata: Labels(["stream": "stderr"]))
        let loss = LogLoss(
            labels: labels, origin: origin, range: LogTimeRange(startNanoseconds: 5, endNanoseconds: 9), lines: 2,
            bytes: 80, reason: "spool full")
        return LogBatch(streams: [stream], losses: [loss])
    }()

    static let event = HostEvent(
        .oomKill, nanoseconds: 1_700_000_000_000_000_003, source: "cgroup", subject: Labels(["container": "web"]),
        details: Labels(["pid": "4711"]), text: "the kernel killed stress in web: out of memory")

    static func randomSignal(_ random: inout SeededGenerator) -> AgentBatch.Signal {
        switch random.int(in: 0..<3) {
        case 0:
            let groups = (0..<random.int(in: 0..<4)).map { _ in randomGroup(&random) }
            let metadata = MetricMetadata(
                metricName: "m\(random.int(in: 0..<9))", kind: random.pick(MetricKind.allCases), unit: "s", help: "é")
            return .samples(
                SampleBatch(groups: groups, metadata: random.oneIn(2) ? [metadata] : []), isUrgent: random.oneIn(2))
        case 1:
            let streams = (0..<random.int(in: 0..<4)).map { _ in randomStream(&random) }
            return .lines(LogBatch(streams: streams, losses: random.oneIn(3) ? lines.losses : []))
        default:
            return .events(
                (0..<random.int(in: 0..<4)).map { _ in
                    HostEvent(
                        random.pick(HostEvent.Kind.allCases), nanoseconds: Int64(bitPattern: random.next()),
                        source: "kmsg", subject: randomLabels(&random), details: randomLabels(&random), text: "wörds")
                })
        }
    }

    static func randomLabels(_ random: inout SeededGenerator) -> Labels {
        Labels((0..<random.int(in: 0..<4)).map { _ in ("n\(random.int(in: 0..<5))", "v\(random.int(in: 0..<20))é") })
    }

    static func randomValue(_ random: inout SeededGenerator) -> Double {
        switch random.int(in: 0..<5) {
        case 0: Double(bitPattern: random.next())
        case 1: random.pick([0, -0.0, .infinity, -.infinity, .nan, Sample.stale, 0x1p53, -0x1p53, 0x1p53 - 1])
        case 2: Double(random.int(in: -1_000_000_000..<1_000_000_000)) / 1e9
        default: Double(Int64(bitPattern: random.next()) >> Int64(random.int(in: 0..<64)))
        }
    }

    private static func randomGroup(_ random: inout SeededGenerator) -> SampleGroup {
        var group = SampleGroup(target: randomLabels(&random), intervalMilliseconds: Int64(random.int(in: 0..<60_000)))
        let time = Int64(bitPattern: random.next())
        if random.oneIn(2) {
            for _ in 0..<random.int(in: 0..<30) {
                group.append(randomLabels(&random), milliseconds: time, value: randomValue(&random))
            }
            return group
        }
        group.series = (0..<random.int(in: 1..<9)).map { _ in .labels(randomLabels(&random)) }
        let hasStarts = random.oneIn(2)
        for _ in 0..<random.int(in: 0..<40) {
            group.seriesIndexes.append(UInt32(random.int(in: 0..<group.series.count)))
            group.timesMilliseconds.append(Int64(bitPattern: random.next()))
            group.values.append(randomValue(&random))
            if hasStarts { group.startTimesMilliseconds.append(Int64(bitPattern: random.next())) }
        }
        if random.oneIn(2) { group.histograms = [randomHistogram(&random)] }
        if random.oneIn(2) {
            group.exemplars = [
                ExemplarSample(
                    seriesIndex: 0, milliseconds: time, value: randomValue(&random), labels: randomLabels(&random))
            ]
        }
        return group
    }

    private static func randomHistogram(_ random: inout SeededGenerator) -> HistogramSample {
        var histogram = NativeHistogram()
        histogram.schema = random.oneIn(2) ? 3 : NativeHistogram.customBucketsSchema
        histogram.count = randomValue(&random)
        histogram.sum = randomValue(&random)
        histogram.positiveSpans = [.init(offset: -5, length: 2), .init(offset: 1, length: 1)]
        histogram.positiveCounts = [1, 2, randomValue(&random)]
        histogram.customBounds = [0.1, 0.2]
        histogram.counterResetHint = .notReset
        histogram.isInteger = random.oneIn(2)
        return HistogramSample(seriesIndex: 0, milliseconds: 7, startMilliseconds: -7, histogram: histogram)
    }

    private static func randomStream(_ random: inout SeededGenerator) -> LogLines {
        let hasOrigin = random.oneIn(2)
        let origin = LogOrigin(source: "a/b", generation: random.next())
        var stream = LogLines(labels: randomLabels(&random), origin: hasOrigin ? origin : nil)
        for _ in 0..<random.int(in: 0..<20) {
            let line = random.bytes(random.int(in: 0..<30))
            let time = Int64(bitPattern: random.next())
            if hasOrigin {
                let start = random.next() >> 1
                let end = start + UInt64(random.int(in: 0..<99))
                stream.append(nanoseconds: time, line: line, offsets: start..<end, metadata: randomLabels(&random))
            } else {
                stream.append(nanoseconds: time, line: line, metadata: randomLabels(&random))
            }
        }
        return stream
    }

    /// A signal in words that tell every bit of it apart, without its delivery: doubles compare as bits, NaN included.
    static func words(_ signal: AgentBatch.Signal) -> String {
        switch signal {
        case .samples(let batch, let isUrgent):
            let groups = batch.groups.map { group in
                let series = group.series.map(\.labels)
                let histograms = group.histograms.map { sample in
                    var bare = sample.histogram
                    let bits = [bare.count, bare.sum, bare.positiveCounts.last ?? 0].map(\.bitPattern)
                    bare.count = 0
                    bare.sum = 0
                    bare.positiveCounts = []
                    return "\(sample.seriesIndex) \(sample.milliseconds) \(sample.startMilliseconds) \(bits) \(bare)"
                }
                let exemplars = group.exemplars.map { "\($0.seriesIndex) \($0.value.bitPattern) \($0.labels)" }
                return "\(group.target) \(group.intervalMilliseconds) \(series) \(group.seriesIndexes)"
                    + "\(group.timesMilliseconds) \(group.values.map(\.bitPattern)) \(group.startTimesMilliseconds)"
                    + "\(histograms) \(exemplars)"
            }
            return "\(isUrgent) \(groups) \(batch.metadata)"
        case .lines(let batch):
            return "\(batch.streams) \(batch.losses)"
        case .events(let events):
            return "\(events)"
        }
    }
}
