/// Paging and OOM counters of /proc/vmstat: node_exporter's default selection.
final class HostPagingCollector: Collector {
    private static let keys = ["pgpgin", "pgpgout", "pswpin", "pswpout", "pgfault", "pgmajfault", "oom_kill"]

    private let context: CollectionContext
    private let file: KernelFile
    private var fields = KeyedFields(HostPagingCollector.keys)
    private let slots: [TargetSamples.Slot]

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        guard let file = context.open("/proc/vmstat") else { return nil }
        self.context = context
        self.file = file
        slots = Self.keys.map { samples.slot(.unknown("node_vmstat_\($0)", "/proc/vmstat information field \($0).")) }
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        guard context.readRecords(file, { fields.parse($0) }) != nil else { return }
        for index in slots.indices where fields.has(index) { samples.set(slots[index], fields.values[index]) }
    }
}
