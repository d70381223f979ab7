/// The host's CPU time by mode and what else /proc/stat counts, under node_exporter's names.
final class HostCPUCollector: Collector {
    private static let seconds = Metric.counter(
        "node_cpu_seconds_total", "Seconds the CPUs spent in each mode.")
    private static let guestSeconds = Metric.counter(
        "node_cpu_guest_seconds_total", "Seconds the CPUs spent in guests (VMs) for each mode.")
    private static let modes = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"]
    private static let scalars: [(key: String, metric: Metric)] = [
        ("btime", .gauge("node_boot_time_seconds", "Node boot time, in unixtime.")),
        ("ctxt", .counter("node_context_switches_total", "Total number of context switches.")),
        ("intr", .counter("node_intr_total", "Total number of interrupts serviced.")),
        ("processes", .counter("node_forks_total", "Total number of forks.")),
        ("procs_running", .gauge("node_procs_running", "Number of processes in runnable state.")),
        ("procs_blocked", .gauge("node_procs_blocked", "Number of processes blocked waiting for I/O to complete.")),
    ]

    private let context: CollectionContext
    private let file: KernelFile
    private var processors = SlotsByName<[TargetSamples.Slot]>(maximum: 4096)
    private let scalars: [TargetSamples.Slot]

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        guard let file = context.open("/proc/stat") else { return nil }
        self.context = context
        self.file = file
        scalars = Self.scalars.map { samples.slot($0.metric) }
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        _ = context.readRecords(file) { bytes -> Bool? in
            var scanner = FieldScanner(bytes)
            repeat {
                guard let key = scanner.word() else { continue }
                if key.starts(with: "cpu".utf8) {
                    if key.count > 3 { collectProcessor(key, &scanner, samples) }
                } else if let index = Self.scalars.firstIndex(where: { key.elementsEqual($0.key.utf8) }),
                    let value = scanner.unsigned()
                {
                    samples.set(scalars[index], value)
                }
            } while scanner.nextLine()
            return true
        }
    }

    private func collectProcessor(
        _ key: UnsafeRawBufferPointer, _ scanner: inout FieldScanner, _ samples: TargetSamples
    ) {
        let number = UnsafeRawBufferPointer(rebasing: key[3...])
        let slots = processors.slots(for: number) { name in
            Self.modes.map { samples.slot(Self.seconds, ("cpu", name), ("mode", $0)) }
                + ["user", "nice"].map { samples.slot(Self.guestSeconds, ("cpu", name), ("mode", $0)) }
        }
        guard let slots else { return }
        for slot in slots {
            guard let ticks = scanner.unsigned() else { return }
            samples.set(slot, Double(ticks) / 100)
        }
    }
}
