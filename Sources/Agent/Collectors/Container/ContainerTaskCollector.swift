/// How many processes and threads a container has, and how many it may have.
final class ContainerTaskCollector: Collector {
    private static let threads = Metric.gauge("container_threads", "Number of threads running inside the container.")
    private static let threadsMaximum = Metric.gauge(
        "container_threads_max", "Maximum number of threads allowed inside the container, 0 for no limit.")
    private static let processes = Metric.gauge(
        "container_processes", "Number of processes running inside the container.")

    private let context: CollectionContext
    private let current: KernelFile?
    private let maximum: KernelFile?
    private let members: KernelFile?
    private let slots: [TargetSamples.Slot]

    init?(_ context: ContainerContext, _ samples: TargetSamples) {
        current = context.legacy(.pids, "pids.current") ?? context.unified("pids.current")
        maximum = context.legacy(.pids, "pids.max") ?? context.unified("pids.max")
        members =
            context.legacy(.pids, "cgroup.procs") ?? context.unified("cgroup.procs")
            ?? context.legacy(.memory, "cgroup.procs")
        guard current != nil || members != nil else { return nil }
        self.context = context.collection
        slots = [Self.threads, Self.threadsMaximum, Self.processes].map { samples.slot($0) }
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        if let current, let count = context.number(current) {
            samples.set(slots[0], count)
            if let maximum { samples.set(slots[1], context.number(maximum) ?? 0) }
        }
        if let members, let count = context.readRecords(members, { $0.count { $0 == UInt8(ascii: "\n") } }) {
            samples.set(slots[2], Double(count))
        }
    }
}
