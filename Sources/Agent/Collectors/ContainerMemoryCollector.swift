/// Memory of a container under cAdvisor's names; the mapping to v1 and v2 files follows cAdvisor's own.
final class ContainerMemoryCollector: Collector {
    private static let gauges: [Metric] = [
        .gauge("container_memory_usage_bytes", "Memory usage in bytes, including all memory."),
        .gauge("container_memory_working_set_bytes", "Usage without inactive file cache in bytes."),
        .gauge("container_memory_rss", "Size of RSS in bytes."),
        .gauge("container_memory_cache", "Number of bytes of page cache memory."),
        .gauge("container_memory_mapped_file", "Size of memory mapped files in bytes."),
        .gauge("container_memory_swap", "Container swap usage in bytes."),
        .gauge("container_memory_total_active_file_bytes", "Active file cache in bytes."),
        .gauge("container_memory_total_inactive_file_bytes", "Inactive file cache in bytes."),
        .gauge("container_memory_max_usage_bytes", "Maximum memory usage recorded in bytes."),
        .counter("container_memory_failcnt", "Number of times memory usage hit the limit."),
        .gauge("container_spec_memory_limit_bytes", "Memory limit of the container, 0 for none."),
        .gauge("container_spec_memory_swap_limit_bytes", "Limit of memory and swap of the container, 0 for none."),
        .gauge("container_spec_memory_reservation_limit_bytes", "Memory reservation of the container, 0 for none."),
    ]
    private static let failures = Metric.counter(
        "container_memory_failures_total", "Cumulative count of memory allocation failures (page faults).")

    private let context: CollectionContext
    private let isLegacy: Bool
    private let usage: KernelFile
    private let stat: KernelFile?
    private let maximum: KernelFile?
    private let swap: KernelFile?
    private let limitHits: KernelFile?
    private let limits: [KernelFile?]
    private var fields: KeyedFields
    private var events = KeyedFields(["max"])
    private var limitValues: [Double?] = [nil, nil, nil]
    private let slots: [TargetSamples.Slot]
    private let faults: [TargetSamples.Slot]

    init?(_ context: ContainerContext, _ samples: TargetSamples) {
        if let usage = context.legacy(.memory, "memory.usage_in_bytes") {
            isLegacy = true
            self.usage = usage
            stat = context.legacy(.memory, "memory.stat")
            maximum = context.legacy(.memory, "memory.max_usage_in_bytes")
            swap = nil
            limitHits = context.legacy(.memory, "memory.failcnt")
            limits = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.soft_limit_in_bytes"].map {
                context.legacy(.memory, $0)
            }
            fields = KeyedFields([
                "pgfault", "pgmajfault", "total_cache", "total_rss", "total_mapped_file", "total_swap",
                "total_pgfault", "total_pgmajfault", "total_inactive_file", "total_active_file",
            ])
        } else if let usage = context.unified("memory.current") {
            isLegacy = false
            self.usage = usage
            stat = context.unified("memory.stat")
            maximum = context.unified("memory.peak")
            swap = context.unified("memory.swap.current")
            limitHits = context.unified("memory.events")
            limits = ["memory.max", "memory.swap.max", "memory.min"].map { context.unified($0) }
            fields = KeyedFields([
                "anon", "file", "file_mapped", "inactive_file", "active_file", "pgfault", "pgmajfault",
            ])
        } else {
            return nil
        }
        self.context = context.collection
        slots = Self.gauges.map { samples.slot($0) }
        faults = ["container", "hierarchy"].flatMap { scope in
            ["pgfault", "pgmajfault"].map { kind in
                samples.slot(Self.failures, ("failure_type", kind), ("scope", scope))
            }
        }
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        guard let used = context.number(usage) else { return }
        samples.set(slots[0], used)
        if let stat, context.read(stat, { fields.parse($0) }) != nil {
            isLegacy ? setLegacyStatistics(used, samples) : setUnifiedStatistics(used, samples)
        }
        if let maximum, let value = context.number(maximum) { samples.set(slots[8], value) }
        setLimitHits(samples)
        if tick.isSlow { limitValues = limits.map { file in file.flatMap { limit($0) } } }
        for (offset, value) in limitValues.enumerated() {
            if let value { samples.set(slots[10 + offset], value) }
        }
    }

    private func setLegacyStatistics(_ used: UInt64, _ samples: TargetSamples) {
        let values = fields.values
        setFile(used, inactive: values[8], active: values[9], samples)
        for (slot, value) in [(2, values[3]), (3, values[2]), (4, values[4]), (5, values[5])] {
            samples.set(slots[slot], value)
        }
        for (slot, value) in [values[0], values[1], values[6], values[7]].enumerated() {
            samples.set(faults[slot], value)
        }
    }

    private func setUnifiedStatistics(_ used: UInt64, _ samples: TargetSamples) {
        let values = fields.values
        setFile(used, inactive: values[3], active: values[4], samples)
        for (slot, value) in [(2, values[0]), (3, values[1]), (4, values[2])] { samples.set(slots[slot], value) }
        if let swap, let value = context.number(swap) { samples.set(slots[5], value) }
        // v2 counts a group with its children only, which is both scopes at once.
        for (slot, value) in [values[5], values[6], values[5], values[6]].enumerated() {
            samples.set(faults[slot], value)
        }
    }

    private func setFile(_ used: UInt64, inactive: UInt64, active: UInt64, _ samples: TargetSamples) {
        samples.set(slots[1], used > inactive ? used - inactive : 0)
        samples.set(slots[6], active)
        samples.set(slots[7], inactive)
    }

    private func setLimitHits(_ samples: TargetSamples) {
        guard let limitHits else { return }
        if isLegacy {
            if let count = context.number(limitHits) { samples.set(slots[9], count) }
        } else if context.read(limitHits, { events.parse($0) }) != nil, events.has(0) {
            samples.set(slots[9], events.values[0])
        }
    }

    /// Limits beyond 2^62 mean none and are 0, as cAdvisor prints them; "max" is no number.
    private func limit(_ file: KernelFile) -> Double? {
        guard let isPresent = context.read(file, { !$0.isEmpty }), isPresent else { return nil }
        guard let value = context.number(file), value < 1 << 62 else { return 0 }
        return Double(value)
    }
}
