/// Memory of a container under cAdvisor's names; the mapping to v1 and v2 files follows cAdvisor's own.
///
/// Where only one of both has a number (dirty pages on v1, page reclaim on v2), cAdvisor prints 0 for the other; here
/// its series is not there, because 0 would be a lie.
final class ContainerMemoryCollector: Collector {
    private static let usage = Metric.gauge(
        "container_memory_usage_bytes", "Current memory usage in bytes, including all memory.")
    private static let workingSet = Metric.gauge(
        "container_memory_working_set_bytes", "Current working set in bytes: usage without inactive file cache.")
    private static let maximum = Metric.gauge(
        "container_memory_max_usage_bytes", "Maximum memory usage recorded in bytes.")
    private static let swap = Metric.gauge("container_memory_swap", "Container swap usage in bytes.")
    private static let kernel = Metric.gauge(
        "container_memory_kernel_usage", "Size of kernel memory allocated in bytes.")
    private static let limitHits = Metric.counter(
        "container_memory_failcnt", "Number of times memory usage hit the limit.")
    private static let failures = Metric.counter(
        "container_memory_failures_total", "Cumulative count of memory allocation failures (page faults).")
    /// Keys of memory.stat on v1 and on v2; nil where it does not have it.
    private static let statistics: [(legacy: String?, unified: String?, metric: Metric)] = [
        ("total_rss", "anon", .gauge("container_memory_rss", "Size of RSS in bytes.")),
        ("total_cache", "file", .gauge("container_memory_cache", "Number of bytes of page cache memory.")),
        (
            "total_mapped_file", "file_mapped",
            .gauge(
                "container_memory_mapped_file", "Size of memory mapped files in bytes.")
        ),
        (
            "total_active_file", "active_file",
            .gauge(
                "container_memory_total_active_file_bytes", "Current total active file in bytes.")
        ),
        (
            "total_inactive_file", "inactive_file",
            .gauge(
                "container_memory_total_inactive_file_bytes", "Current total inactive file in bytes.")
        ),
        (
            "total_dirty", "file_dirty",
            .gauge(
                "container_memory_file_dirty_bytes", "Bytes of file cache modified but not yet written back to disk.")
        ),
        (
            "total_writeback", "file_writeback",
            .gauge(
                "container_memory_file_writeback_bytes", "Bytes of file cache currently being written back to disk.")
        ),
        (nil, "kernel", kernel),
        (
            nil, "pgscan",
            .counter(
                "container_memory_pgscan_total", "Cumulative number of pages scanned by page reclaim.")
        ),
        (
            nil, "pgsteal",
            .counter(
                "container_memory_pgsteal_total", "Cumulative number of pages reclaimed by page reclaim.")
        ),
        (
            nil, "workingset_refault_file",
            .counter(
                "container_memory_workingset_refault_file_total",
                "Cumulative number of refaults of previously evicted file pages.")
        ),
        (
            nil, "workingset_refault_anon",
            .counter(
                "container_memory_workingset_refault_anon_total",
                "Cumulative number of refaults of previously evicted anonymous pages.")
        ),
    ]

    private let context: CollectionContext
    private let usage: (file: KernelFile, slot: TargetSamples.Slot)
    private let workingSet: TargetSamples.Slot
    /// Files that hold one number.
    private let numbers: [(file: KernelFile, slot: TargetSamples.Slot)]
    private var stat: KeyedSeries?
    private let inactiveFile: Int
    private var events: KeyedSeries?
    /// As it was read last.
    private(set) var workingSetBytes: UInt64 = 0

    init?(_ context: ContainerContext, _ samples: TargetSamples) {
        let isLegacy: Bool
        if let file = context.legacy(.memory, "memory.usage_in_bytes") {
            isLegacy = true
            usage = (file, samples.slot(Self.usage))
        } else if let file = context.unified("memory.current") {
            isLegacy = false
            usage = (file, samples.slot(Self.usage))
        } else {
            return nil
        }
        self.context = context.collection
        workingSet = samples.slot(Self.workingSet)
        let names: [(KernelFile?, Metric)] =
            isLegacy
            ? [
                (context.legacy(.memory, "memory.max_usage_in_bytes"), Self.maximum),
                (context.legacy(.memory, "memory.failcnt"), Self.limitHits),
                (context.legacy(.memory, "memory.kmem.usage_in_bytes"), Self.kernel),
            ]
            : [
                (context.unified("memory.peak"), Self.maximum),
                (context.unified("memory.swap.current"), Self.swap),
            ]
        numbers = names.compactMap { file, metric in file.map { ($0, samples.slot(metric)) } }
        let found = Self.statistics(context, samples, isLegacy: isLegacy)
        stat = found.stat
        inactiveFile = found.inactiveFile
        if !isLegacy { events = Self.events(context, samples) }
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        guard let used = context.number(usage.file) else { return }
        samples.set(usage.slot, used)
        if stat?.collect(context, into: samples) == true {
            let inactive = stat?.value(inactiveFile) ?? 0
            workingSetBytes = used > inactive ? used - inactive : 0
            samples.set(workingSet, workingSetBytes)
        }
        for (file, slot) in numbers {
            if let value = context.number(file) { samples.set(slot, value) }
        }
        events?.collect(context, into: samples)
    }

    private static func statistics(
        _ context: ContainerContext, _ samples: TargetSamples, isLegacy: Bool
    ) -> (stat: KeyedSeries?, inactiveFile: Int) {
        let file = isLegacy ? context.legacy(.memory, "memory.stat") : context.unified("memory.stat")
        guard let file else { return (nil, 0) }
        var fields: [KeyedSeries.Field] = []
        var inactiveFile = 0
        for (legacy, unified, metric) in statistics {
            guard let key = isLegacy ? legacy : unified else { continue }
            if key.hasSuffix("inactive_file") { inactiveFile = fields.count }
            fields.append(KeyedSeries.Field(key, samples.slot(metric)))
        }
        if isLegacy { fields.append(KeyedSeries.Field("total_swap", samples.slot(swap))) }
        for scope in ["container", "hierarchy"] {
            for kind in ["pgfault", "pgmajfault"] {
                // v2 counts a group with its children only, which is both scopes at once.
                let slot = samples.slot(failures, ("failure_type", kind), ("scope", scope))
                let key = isLegacy && scope == "hierarchy" ? "total_\(kind)" : kind
                fields.append(KeyedSeries.Field(key, slot))
            }
        }
        return (KeyedSeries(file, fields), inactiveFile)
    }

    private static func events(_ context: ContainerContext, _ samples: TargetSamples) -> KeyedSeries? {
        guard let file = context.unified("memory.events") else { return nil }
        let kinds = [
            ("low", "reclaim below memory.low"), ("high", "memory.high throttle"), ("max", "memory.max limit hit"),
            ("oom", "out-of-memory"), ("oom_kill", "OOM kill"), ("oom_group_kill", "OOM kill of the whole group"),
        ]
        var fields = kinds.map { kind, what in
            KeyedSeries.Field(
                kind,
                samples.slot(
                    .counter(
                        "container_memory_events_\(kind)_total", "Cumulative count of \(what) events for the container."
                    )))
        }
        fields.append(KeyedSeries.Field("max", samples.slot(limitHits)))
        return KeyedSeries(file, fields)
    }
}
