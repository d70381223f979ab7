/// The host's pressure stall times under node_exporter's names.
final class HostPressureCollector: Collector {
    private let context: CollectionContext
    private let readers: [PressureReader]

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        self.context = context
        readers = ["cpu", "memory", "io", "irq"].compactMap { resource in
            guard let file = context.open("/proc/pressure/\(resource)") else { return nil }
            // The kernel's system-wide `full` of CPU is always 0, and interrupts have no `some`.
            let waiting = resource == "irq" ? nil : samples.slot(Self.metric(resource, "waiting"))
            let stalled = resource == "cpu" ? nil : samples.slot(Self.metric(resource, "stalled"))
            return PressureReader(file: file, waiting: waiting, stalled: stalled)
        }
        guard !readers.isEmpty else { return nil }
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        for reader in readers { reader.collect(context, into: samples) }
    }

    private static func metric(_ resource: String, _ kind: String) -> Metric {
        let what = kind == "waiting" ? "processes have waited for" : "no process could make progress due to"
        return .counter("node_pressure_\(resource)_\(kind)_seconds_total", "Total time in seconds \(what) \(resource).")
    }
}
