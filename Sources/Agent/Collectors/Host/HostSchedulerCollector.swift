/// How long each processor ran processes and let them wait: /proc/schedstat.
final class HostSchedulerCollector: Collector {
    private static let metrics: [(metric: Metric, unitsPerOne: Double)] = [
        (.counter("node_schedstat_running_seconds_total", "Number of seconds CPU spent running a process."), 1e9),
        (
            .counter(
                "node_schedstat_waiting_seconds_total", "Number of seconds spent by processing waiting for this CPU."),
            1e9
        ),
        (.counter("node_schedstat_timeslices_total", "Number of timeslices executed by CPU."), 1),
    ]

    private let context: CollectionContext
    private let file: KernelFile
    private var processors = SlotsByName<[TargetSamples.Slot]>(maximum: 4096)

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        guard let file = context.open("/proc/schedstat") else { return nil }
        self.context = context
        self.file = file
    }

    /// Lines are `cpu0 0 0 0 0 0 0 running waiting slices`; those of scheduling domains follow.
    func collect(_ tick: Tick, into samples: TargetSamples) {
        _ = context.readRecords(file) { bytes -> Bool? in
            var scanner = FieldScanner(bytes)
            repeat {
                guard let key = scanner.word(), key.count > 3, key.starts(with: "cpu".utf8) else { continue }
                for _ in 0..<6 { _ = scanner.word() }
                let slots = processors.slots(for: UnsafeRawBufferPointer(rebasing: key[3...])) { name in
                    Self.metrics.map { samples.slot($0.metric, ("cpu", name)) }
                }
                guard let slots else { continue }
                for (slot, (_, unitsPerOne)) in zip(slots, Self.metrics) {
                    guard let value = scanner.unsigned() else { break }
                    samples.set(slot, Double(value) / unitsPerOne)
                }
            } while scanner.nextLine()
            return true
        }
    }
}
