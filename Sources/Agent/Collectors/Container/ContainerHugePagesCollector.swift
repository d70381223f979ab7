/// Huge pages of a container by their size. Slow lane; only where the hugetlb controller is on.
final class ContainerHugePagesCollector: Collector {
    private static let usage = Metric.gauge("container_hugetlb_usage_bytes", "Current hugepage usage in bytes.")
    private static let maximum = Metric.gauge(
        "container_hugetlb_max_usage_bytes", "Maximum hugepage usage recorded in bytes.")
    private static let failures = Metric.counter("container_hugetlb_failcnt", "Number of hugepage usage hits limits.")

    private let context: CollectionContext
    private var numbers: [(file: KernelFile, slot: TargetSamples.Slot)] = []
    private var events: [KeyedSeries] = []

    init?(_ context: ContainerContext, _ samples: TargetSamples) {
        self.context = context.collection
        // Named as the kernel names its files: 2MB, 1GB, 64KB.
        for size in context.collection.hugePageSizes {
            let label = ("pagesize", size)
            let legacy: [(String, Metric)] = [
                ("usage_in_bytes", Self.usage), ("max_usage_in_bytes", Self.maximum), ("failcnt", Self.failures),
            ]
            for (name, metric) in legacy {
                guard let file = context.legacy(.hugetlb, "hugetlb.\(size).\(name)") else { continue }
                numbers.append((file, samples.slot(metric, label)))
            }
            let current =
                context.unified("hugetlb.\(size).rsvd.current") ?? context.unified("hugetlb.\(size).current")
            if let current { numbers.append((current, samples.slot(Self.usage, label))) }
            if let file = context.unified("hugetlb.\(size).events") {
                events.append(KeyedSeries(file, [KeyedSeries.Field("max", samples.slot(Self.failures, label))]))
            }
        }
        guard !numbers.isEmpty || !events.isEmpty else { return nil }
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        for (file, slot) in numbers {
            if let value = context.number(file) { samples.set(slot, value) }
        }
        for index in events.indices { events[index].collect(context, into: samples) }
    }
}
