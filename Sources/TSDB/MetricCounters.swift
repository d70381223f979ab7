internal import Synchronization
internal import Telemetry

/// What the database counts about itself since it was opened.
final class MetricCounters: Sendable {
    let samplesAppended = Atomic<Int>(0)
    let appends = Atomic<Int>(0)
    let duplicateDeliveries = Atomic<Int>(0)
    let refusedAppends = Atomic<Int>(0)
    let exemplarsAppended = Atomic<Int>(0)
    let exemplarsDropped = Atomic<Int>(0)
    let exemplarFailures = Atomic<Int>(0)
    let samplesReplayed = Atomic<Int>(0)
    let samplesHidden = Atomic<Int>(0)
    let framesLost = Atomic<Int>(0)
    let samplesLost = Atomic<Int>(0)
    let flushes = Atomic<Int>(0)
    let backfillBlocks = Atomic<Int>(0)
    let flushFailures = Atomic<Int>(0)
    let samplesSealed = Atomic<Int>(0)
    let merges = Atomic<Int>(0)
    let mergeFailures = Atomic<Int>(0)
    let blocksDropped = Atomic<Int>(0)
    private let overLimit = Mutex<[SeriesLimit: Int]>([:])
    private let rejected = Mutex<[SampleRejection.Reason: Int]>([:])

    /// Counts refused samples by reason.
    func reject(_ rejections: [SampleRejection]) {
        guard !rejections.isEmpty else { return }
        rejected.withLock { rejected in
            for rejection in rejections { rejected[rejection.reason, default: 0] += rejection.count }
        }
    }

    /// More targets and metrics than this are counted as one.
    private static let overLimitMaximum = 1000

    /// Counts samples of series that were over a limit.
    func noteOverLimit(_ samples: [SeriesLimit: Int]) {
        guard !samples.isEmpty else { return }
        overLimit.withLock { overLimit in
            for (limit, count) in samples {
                let isKnown = overLimit[limit] != nil || overLimit.count < Self.overLimitMaximum
                overLimit[isKnown ? limit : .others, default: 0] += count
            }
        }
    }

    /// Samples refused because of each limit, the most first.
    var overLimitEntries: [CardinalityEntry] {
        overLimit.withLock { $0 }.map { CardinalityEntry(name: "\($0.key)", count: $0.value) }
            .sorted { ($1.count, $0.name) < ($0.count, $1.name) }
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
            counter("exemplars_appended_total", exemplarsAppended, "Exemplars taken and synced."),
            counter(
                "exemplars_dropped_total", exemplarsDropped,
                "Exemplars left out: labels too long, out of time, or their series was refused."),
            counter("exemplar_failures_total", exemplarFailures, "Exemplars that could not be kept beyond the log."),
            counter("samples_replayed_total", samplesReplayed, "Samples read back from the log at the start."),
            counter(
                "samples_hidden_total", samplesHidden,
                "Samples taken while the log was read back that another of the same time turned out to precede."),
            counter("log_frames_lost_total", framesLost, "Frames of the log found missing at the start."),
            counter("log_samples_lost_total", samplesLost, "Samples without their series' declaration at the start."),
            counter("flushes_total", flushes, "Blocks written from the head."),
            counter("backfill_blocks_total", backfillBlocks, "Blocks written of what was filled in for the past."),
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
        for (limit, count) in overLimit.withLock({ $0 }).sorted(by: { $0.key.description < $1.key.description }) {
            all.append(
                StoreMetric(
                    "vedette_tsdb_samples_over_limit_total", .counter, Double(count),
                    help: "Samples refused because their series was over a limit, by what the limit is of.",
                    labels: limit.labels))
        }
        return all
    }
}
