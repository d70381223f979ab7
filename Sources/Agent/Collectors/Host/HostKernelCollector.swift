/// Small numbers of the kernel that hardly change: entropy, hung tasks, SELinux, neighbours by device. Slow lane.
final class HostKernelCollector: Collector {
    private static let numbers: [(path: String, metric: Metric)] = [
        ("/proc/sys/kernel/random/entropy_avail", .gauge("node_entropy_available_bits", "Bits of available entropy.")),
        ("/proc/sys/kernel/random/poolsize", .gauge("node_entropy_pool_size_bits", "Bits of entropy pool.")),
        (
            "/proc/sys/kernel/hung_task_detect_count",
            .counter(
                "node_kernel_hung_tasks_total",
                "Total number of tasks that have been detected as hung since the system booted.")
        ),
    ]
    private static let neighbours = Metric.gauge("node_arp_entries", "ARP entries by device")
    private static let security = Metric.gauge("node_selinux_enabled", "SELinux is enabled, 1 is true, 0 is false")
    private static let mode = Metric.gauge("node_selinux_current_mode", "Current SELinux enforcement mode")

    private let context: CollectionContext
    private let files: [(file: KernelFile, slot: TargetSamples.Slot)]
    private let table: KernelFile?

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        self.context = context
        files = Self.numbers.compactMap { path, metric in context.open(path).map { ($0, samples.slot(metric)) } }
        table = context.openNetwork("arp")
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        for (file, slot) in files {
            if let value = context.number(file) { samples.set(slot, value) }
        }
        let enforcing = context.line("/sys/fs/selinux/enforce").flatMap { Int($0) }
        samples.set(samples.slot(Self.security), enforcing == nil ? 0 : 1 as Double)
        if let enforcing { samples.set(samples.slot(Self.mode), Double(enforcing)) }
        for (device, count) in entries() {
            samples.set(samples.slot(Self.neighbours, ("device", device)), Double(count))
        }
    }

    /// The sixth column of /proc/net/arp is the device; entries without an address ("00:00:…") count as well.
    private func entries() -> [String: Int] {
        guard let table else { return [:] }
        return context.readRecords(table) { bytes -> [String: Int]? in
            var scanner = FieldScanner(bytes)
            var counts: [String: Int] = [:]
            while scanner.nextLine() {
                for _ in 0..<5 { _ = scanner.word() }
                if let device = scanner.text() { counts[device, default: 0] += 1 }
            }
            return counts
        } ?? [:]
    }
}
