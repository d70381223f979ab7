/// The host's load averages and its clock.
final class HostLoadCollector: Collector {
    private let context: CollectionContext
    private let file: KernelFile?
    private let loads: [TargetSamples.Slot]
    private let time: TargetSamples.Slot

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        self.context = context
        file = context.open("/proc/loadavg")
        loads = ["1", "5", "15"].map { samples.slot(.gauge("node_load\($0)", "\($0)m load average.")) }
        time = samples.slot(.gauge("node_time_seconds", "System time in seconds since epoch (1970)."))
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        samples.set(time, Double(tick.nanoseconds) / 1e9)
        guard let file else { return }
        _ = context.read(file) { bytes -> Bool? in
            var scanner = FieldScanner(bytes)
            for slot in loads {
                guard let load = scanner.decimal() else { return nil }
                samples.set(slot, load)
            }
            return true
        }
    }
}
