import Synchronization
import Telemetry

/// A metric store in memory, as simple as the ports allow: the server's tests look at the server, not at a store.
final class MemoryMetrics: SampleAppender, SeriesSource, StorageAdministration {
    private let state = Mutex<[Labels: [Sample]]>([:])
    private let delivered = Mutex<[DeliveryIdentity.Sender: UInt64]>([:])
    /// What the next append throws.
    let refusal = Mutex<AppendRefusal?>(nil)
    let health = Mutex(StorageHealth.ready)
    /// Called for each chunk a query reads.
    let onRead = Mutex<@Sendable () -> Void>({})
    let sealed = Atomic<Int>(0)
    let cleaned = Atomic<Int>(0)
    /// Where snapshots were asked for.
    let snapshots = Mutex<[String]>([])

    func append(_ batch: SampleBatch) async throws -> AppendReceipt {
        if let refusal = refusal.withLock({ $0 }) { throw refusal }
        var marks: DeliveryMarks?
        if let delivery = batch.delivery {
            let isKnown = delivered.withLock { delivered in
                if delivered[delivery.sender] ?? 0 >= delivery.sequence { return true }
                delivered[delivery.sender] = delivery.sequence
                return false
            }
            marks = DeliveryMarks(synced: delivery.sequence, archived: delivery.sequence)
            if isKnown { return AppendReceipt(accepted: 0, isDuplicate: true, marks: marks) }
        }
        var accepted = 0
        for group in batch.groups {
            for (index, position) in group.seriesIndexes.enumerated() {
                let labels = group.series[Int(position)].labels
                let sample = Sample(milliseconds: group.timesMilliseconds[index], value: group.values[index])
                state.withLock { $0[labels, default: []].append(sample) }
                accepted += 1
            }
        }
        return AppendReceipt(accepted: accepted, marks: marks)
    }

    /// Stores one sample.
    func add(_ labels: [String: String], _ milliseconds: Int64, _ value: Double) {
        let sample = Sample(milliseconds: milliseconds, value: value)
        state.withLock { $0[Labels(labels), default: []].append(sample) }
    }

    private func matching(_ request: SeriesRequest) -> [(Labels, [Sample])] {
        state.withLock { state in
            state.filter { entry in
                request.matchers.allSatisfy { $0.matches(entry.key) }
                    && entry.value.contains { request.range.contains($0.milliseconds) }
            }.sorted { $0.key < $1.key }.map { ($0.key, $0.value.filter { request.range.contains($0.milliseconds) }) }
        }
    }

    func select(_ request: SeriesRequest, in context: QueryContext) throws -> [any SeriesCursor] {
        matching(request).map { labels, samples in
            Cursor(labels: labels, samples: samples, context: context, onRead: onRead.withLock { $0 })
        }
    }

    func series(_ request: SeriesRequest, in context: QueryContext) throws -> [Labels] { matching(request).map(\.0) }

    func labelNames(_ request: SeriesRequest, in context: QueryContext) throws -> [String] {
        Set(matching(request).flatMap { $0.0.pairs.map(\.name) }).sorted()
    }

    func labelValues(_ name: String, _ request: SeriesRequest, in context: QueryContext) throws -> [String] {
        Set(matching(request).compactMap { $0.0[name] }).sorted()
    }

    func metadata(metricName: String?, limit: Int, in context: QueryContext) throws -> [MetricMetadata] {
        [MetricMetadata(metricName: "up", kind: .gauge, help: "whether it is up")].filter {
            metricName == nil || metricName == $0.metricName
        }
    }

    func seal() throws { sealed.add(1, ordering: .relaxed) }
    func snapshot(to path: String) throws { snapshots.withLock { $0.append(path) } }
    func removeDeleted() throws { cleaned.add(1, ordering: .relaxed) }

    func delete(matching matchers: [LabelMatcher], range: TimeRange) throws -> Int {
        state.withLock { state in
            let gone = state.keys.filter { labels in matchers.allSatisfy { $0.matches(labels) } }
            for labels in gone { state[labels]?.removeAll { range.contains($0.milliseconds) } }
            return gone.count
        }
    }

    func enforceRetention(retentionMilliseconds: Int64, nowMilliseconds: Int64) throws -> Int { 0 }

    func cardinality(limit: Int) -> CardinalityReport {
        let names = state.withLock { Set($0.keys.compactMap(\.metricName)) }
        return CardinalityReport(
            total: state.withLock { $0.count }, byMetricName: names.map { CardinalityEntry(name: $0, count: 1) },
            byLabelName: [], byLabelPair: [], headRange: nil)
    }

    var ingestHealth: StorageHealth { health.withLock { $0 } }
    var queryHealth: StorageHealth { health.withLock { $0 } }
    var quarantine: [Quarantined] { [] }

    var metrics: [StoreMetric] {
        [StoreMetric("vedette_metrics_series", .gauge, Double(state.withLock { $0.count }), help: "Active series.")]
    }

    var memoryBytes: Int { 0 }
    func releaseMemory(bytes: Int) -> Int { 0 }
    func close() throws {}

    private final class Cursor: SeriesCursor {
        let labels: Labels
        private var samples: [Sample]
        private let context: QueryContext
        private let onRead: @Sendable () -> Void

        init(labels: Labels, samples: [Sample], context: QueryContext, onRead: @escaping @Sendable () -> Void) {
            self.labels = labels
            self.samples = samples
            self.context = context
            self.onRead = onRead
        }

        func next(into buffer: inout SampleBuffer) throws -> Bool {
            onRead()
            try context.check()
            buffer.removeAll()
            guard !samples.isEmpty else { return false }
            for sample in samples {
                buffer.timesMilliseconds.append(sample.milliseconds)
                buffer.values.append(sample.value)
            }
            let count = samples.count
            samples = []
            try context.count { $0.samplesDecoded += count }
            return true
        }
    }
}
