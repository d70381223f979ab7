/// What a container may take: cAdvisor's spec metrics. Slow lane.
final class ContainerSpecificationCollector: Collector {
    private enum Source {
        /// One number; no limit (-1) is not shown.
        case number(KernelFile)
        /// A size; "max" and what lies beyond 2^62 mean none and are 0, as cAdvisor prints them.
        case bytes(KernelFile)
        /// cpu.max, `quota period`: one of the two.
        case quota(KernelFile)
        case period(KernelFile)
        /// cpu.weight, shown as the shares it was made of.
        case weight(KernelFile)
    }

    private static let period = Metric.gauge("container_spec_cpu_period", "CPU period of the container.")
    private static let quota = Metric.gauge("container_spec_cpu_quota", "CPU quota of the container.")
    private static let shares = Metric.gauge("container_spec_cpu_shares", "CPU share of the container.")
    private static let memory = Metric.gauge(
        "container_spec_memory_limit_bytes", "Memory limit for the container, 0 for none.")
    private static let swap = Metric.gauge(
        "container_spec_memory_swap_limit_bytes", "Memory swap limit for the container, 0 for none.")
    private static let reservation = Metric.gauge(
        "container_spec_memory_reservation_limit_bytes", "Memory reservation limit for the container, 0 for none.")

    private let context: CollectionContext
    private let limits: [(source: Source, slot: TargetSamples.Slot)]

    init?(_ context: ContainerContext, _ samples: TargetSamples) {
        self.context = context.collection
        let sources: [(Source?, Metric)] = [
            (
                context.legacy(.cpu, "cpu.cfs_period_us").map { .number($0) }
                    ?? context.unified("cpu.max").map { .period($0) }, Self.period
            ),
            (
                context.legacy(.cpu, "cpu.cfs_quota_us").map { .number($0) }
                    ?? context.unified("cpu.max").map { .quota($0) }, Self.quota
            ),
            (
                context.legacy(.cpu, "cpu.shares").map { .number($0) }
                    ?? context.unified("cpu.weight").map { .weight($0) }, Self.shares
            ),
            (Self.size(context, "memory.limit_in_bytes", "memory.max"), Self.memory),
            (Self.size(context, "memory.memsw.limit_in_bytes", "memory.swap.max"), Self.swap),
            (Self.size(context, "memory.soft_limit_in_bytes", "memory.min"), Self.reservation),
        ]
        limits = sources.compactMap { source, metric in source.map { ($0, samples.slot(metric)) } }
        guard !limits.isEmpty else { return nil }
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        for (source, slot) in limits {
            if let value = value(source) { samples.set(slot, value) }
        }
    }

    private static func size(_ context: ContainerContext, _ legacy: String, _ unified: String) -> Source? {
        (context.legacy(.memory, legacy) ?? context.unified(unified)).map { .bytes($0) }
    }

    private func value(_ source: Source) -> Double? {
        switch source {
        case .number(let file): return context.number(file).map { Double($0) }
        case .bytes(let file):
            guard context.read(file, { $0.isEmpty ? nil : true }) != nil else { return nil }
            guard let value = context.number(file), value < 1 << 62 else { return 0 }
            return Double(value)
        case .quota(let file): return words(file).0.map { Double($0) }
        case .period(let file): return words(file).1.map { Double($0) }
        case .weight(let file):
            // The inverse of the runtimes' conversion of shares to weights, as cAdvisor computes it.
            return context.number(file).map { Double(2 + (($0 &- min($0, 1)) * 262_142) / 9_999) }
        }
    }

    private func words(_ file: KernelFile) -> (UInt64?, UInt64?) {
        let both: (UInt64?, UInt64?)? = context.read(file) { bytes in
            var scanner = FieldScanner(bytes)
            let first = scanner.unsigned()
            return (first, scanner.unsigned())
        }
        return both ?? (nil, nil)
    }
}
