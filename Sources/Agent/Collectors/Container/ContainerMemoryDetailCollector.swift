/// What a container's memory is made of beyond cAdvisor's metrics, and dying groups: slow lane, v2 only.
///
/// A removed group stays in memory as long as pages it was charged for do ("dying"); thousands of them slow every
/// reading of memory.stat of their parent.
final class ContainerMemoryDetailCollector: Collector {
    private static let kinds = [
        ("slab", "in-kernel data structures"), ("sock", "network transmission buffers"),
        ("shmem", "swap-backed cached file data such as tmpfs"), ("unevictable", "memory that cannot be reclaimed"),
        ("anon_thp", "anonymous memory in transparent huge pages"),
    ]

    private let context: CollectionContext
    private var readers: [KeyedSeries]

    init?(_ context: ContainerContext, _ samples: TargetSamples) {
        self.context = context.collection
        let memory = Self.kinds.map { kind, what in
            let metric = Metric.gauge("container_memory_\(kind)_bytes", "Bytes of \(what).")
            return KeyedSeries.Field(kind, samples.slot(metric))
        }
        let groups = [
            KeyedSeries.Field(
                "nr_descendants",
                samples.slot(.gauge("container_cgroup_descendants", "Number of cgroups below the container's."))),
            KeyedSeries.Field(
                "nr_dying_descendants",
                samples.slot(
                    .gauge(
                        "container_cgroup_dying_descendants",
                        "Number of removed cgroups below the container's that the kernel could not free yet."))),
        ]
        readers = [
            context.unified("memory.stat").map { KeyedSeries($0, memory) },
            context.unified("cgroup.stat").map { KeyedSeries($0, groups) },
        ].compactMap(\.self)
        guard !readers.isEmpty else { return nil }
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        for index in readers.indices { readers[index].collect(context, into: samples) }
    }
}
