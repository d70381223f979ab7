internal import Synchronization
internal import Telemetry

/// What the database counts about itself since it was opened.
final class MetricCounters: Sendable {
    let samplesAppended = Atomic<Int>(0)
    let appends = Atomic<Int>(0)
    let duplicateDeliveries = Atomic<Int>(0)
    let refusedAppends = Atomic<Int>(0)
    let exemplarsDropped = Atomic<Int>(0)
    let samplesReplayed = Atomic<Int>(0)
    let framesLost = Atomic<Int>(0)
    let samplesLost = Atomic<Int>(0)
    let flushes = Atomic<Int>(0)
    let flushFailures = Atomic<Int>(0)
    let samplesSealed = Atomic<Int>(0)
    let merges = Atomic<Int>(0)
    let mergeFailures = Atomic<Int>(0)
    let blocksDropped = Atomic<Int>(0)
    private let rejected = Mutex<[SampleRejection.Reason: Int]>([:])

    /// Counts refused samples by reason.
    func reject(_ rejections: [SampleRejection]) {
        guard !rejections.isEmpty else { return }
        rejected.withLock { rejected in
            for rejection in rejections { rejected[rejection.reason, default: 0] += rejection.count }
        }
    }

    /// All counters under their names.
    var metrics: [StoreMetric] {
        func counter(_ name: String, _ count: borrowing Atomic<Int>, _ help: String) -> StoreMetric {
            StoreMetric("vedette_tsdb_\(name)", .counter, Double(count.load(ordering: .relaxed)), help: help)
        }
        var all = [
            counter("samples_appended_total", samplesAppended, "Samples taken and synced."),
            counter("appends_total", appends, "Appends answered after their sync."),
            counter("duplicate_deliveries_total", duplicateDeliveries, "Deliveries that had been stored before."),
            counter("appends_refused_total", refusedAppends, "Appends refused as a whole."),
            counter("exemplars_dropped_total", exemplarsDropped, "Exemplars received, which are not stored."),
            counter("samples_replayed_total", samplesReplayed, "Samples read back from the log at the start."),
            counter("log_frames_lost_total", framesLost, "Frames of the log found missing at the start."),
            counter("log_samples_lost_total", samplesLost, "Samples without their series' declaration at the start."),
            counter("flushes_total", flushes, "Blocks written from the head."),
            counter("flush_failures_total", flushFailures, "Blocks that could not be written; tried again."),
            counter("samples_sealed_total", samplesSealed, "Samples written to blocks from the head."),
            counter("merges_total", merges, "Merges of blocks."),
            counter("merge_failures_total", mergeFailures, "Merges given up; the blocks stay as they are."),
            counter("blocks_dropped_total", blocksDropped, "Blocks dropped by retention."),
        ]
        for (reason, count) in rejected.withLock({ $0 }).sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            all.append(
                StoreMetric(
                    "vedette_tsdb_samples_rejected_total", .counter, Double(count),
                    help: "Samples refused, by reason.", labels: Labels([(name: "reason", value: reason.rawValue)])))
        }
        return all
    }
}
