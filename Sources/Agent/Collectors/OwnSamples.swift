internal import Telemetry

/// What the agent counts about itself at one moment.
struct AgentStatistics: Sendable {
    var spool = SpoolStatistics()
    var tail = TailStatistics()
    /// CPU time of the process in seconds and its resident memory, from /proc/self.
    var cpuSeconds: Double = 0
    var residentBytes: UInt64 = 0
    /// How long the last tick took.
    var collectionSeconds: Double = 0
    /// How often metrics are read now, on which step of the ladder, and how often a step was climbed.
    var intervalSeconds: Double = 0
    var step = 0
    var degradations = 0
    /// Samples of the last tick.
    var samples = 0
}

/// The agent's own series, and the counters of services, which belong to no single container.
final class OwnSamples {
    let samples: TargetSamples
    private var services: [String: [TargetSamples.Slot]] = [:]

    private static let servicesMaximum = 4_096

    /// Series of the agent on `context`'s node.
    init(_ context: CollectionContext, intervalMilliseconds: Int64) {
        let base: [(name: String, value: String)] = [
            ("job", "vedette-agent"), ("instance", context.node), ("node", context.node),
        ]
        samples = TargetSamples(base: base, target: Labels(base), intervalMilliseconds: intervalMilliseconds)
    }

    /// Sets everything.
    func collect(
        _ tick: Tick, _ statistics: AgentStatistics, services counts: [String: [UInt64]]
    ) {
        samples.begin(milliseconds: tick.milliseconds)
        let spool = statistics.spool
        gauge("vedette_agent_collection_seconds", "Time the last tick took.", statistics.collectionSeconds)
        gauge("vedette_agent_interval_seconds", "How often metrics are read now.", statistics.intervalSeconds)
        gauge(
            "vedette_agent_degraded_step", "0 reads at every interval, 1 at every fifth, 2 at every fifteenth.",
            Double(statistics.step))
        counter(
            "vedette_agent_degradations_total", "Times that metrics were read less often to keep the agent's limits.",
            Double(statistics.degradations))
        counter("vedette_agent_cpu_seconds_total", "CPU time of the agent's process.", statistics.cpuSeconds)
        gauge(
            "vedette_agent_resident_memory_bytes", "Resident memory of the agent's process.",
            Double(statistics.residentBytes))
        counter("vedette_agent_log_lines_total", "Log lines read.", Double(statistics.tail.lines))
        counter("vedette_agent_log_bytes_total", "Bytes of log lines read.", Double(statistics.tail.bytes))
        counter("vedette_agent_log_losses_total", "Times that log lines were lost.", Double(statistics.tail.losses))
        counter("vedette_agent_sent_batches_total", "Batches the server has stored.", Double(spool.sentBatches))
        counter("vedette_agent_dropped_batches_total", "Batches the disk did not take.", Double(spool.droppedBatches))
        counter("vedette_agent_refused_batches_total", "Batches refused for good.", Double(spool.refusedBatches))
        counter(
            "vedette_agent_given_up_batches_total", "Batches given up by a full spool.", Double(spool.givenUpBatches))
        counter("vedette_agent_given_up_lines_total", "Lines given up by a full spool.", Double(spool.givenUpLines))
        for queue in DeliveryQueue.allCases {
            let label = ("queue", queue.folder)
            gauge("vedette_agent_spool_bytes", "Size of the spool.", Double(spool.bytesOnDisk[queue.rawValue]), label)
            gauge(
                "vedette_agent_spool_batches", "Batches that wait.", Double(spool.pendingBatches[queue.rawValue]), label
            )
            let age = spool.oldestNanoseconds[queue.rawValue].map { max(0, Double(tick.nanoseconds - $0) / 1e9) } ?? 0
            gauge("vedette_agent_spool_age_seconds", "Age of the oldest batch that waits.", age, label)
        }
        collect(counts)
        samples.finish()
    }

    private func collect(_ counts: [String: [UInt64]]) {
        for (service, values) in counts {
            guard services[service] != nil || services.count < Self.servicesMaximum else { continue }
            let slots =
                services[service]
                ?? EventCounters.Kind.allCases.map {
                    samples.slot($0.serviceMetric, ("service", service))
                }
            services[service] = slots
            for (slot, value) in zip(slots, values) { samples.set(slot, value) }
        }
    }

    private func gauge(_ name: String, _ help: String, _ value: Double, _ labels: (String, String)...) {
        samples.set(samples.slot(.gauge(name, help), labels), value)
    }

    private func counter(_ name: String, _ help: String, _ value: Double) {
        samples.set(samples.slot(.counter(name, help)), value)
    }
}
