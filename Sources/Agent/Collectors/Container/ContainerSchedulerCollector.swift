/// How long the threads of a container ran and how long they waited for a processor: what a noisy neighbour takes.
/// Slow lane; read from each thread's schedstat (Documentation/scheduler/sched-stats.rst).
///
/// Threads come and go, so what each of them added since it was seen last is summed up; what a thread did between its
/// last reading and its end is missed. cAdvisor reads main threads alone, which says little of a Java server.
final class ContainerSchedulerCollector: Collector {
    private static let metrics: [Metric] = [
        .counter(
            "container_cpu_schedstat_run_seconds_total",
            "Time duration the processes of the container have run on the CPU."),
        .counter(
            "container_cpu_schedstat_runqueue_seconds_total",
            "Time duration processes of the container have been waiting on a runqueue."),
        .counter(
            "container_cpu_schedstat_run_periods_total",
            "Number of times processes of the cgroup have run on the cpu."),
    ]
    /// A container with more threads is read in part.
    private static let threadsMaximum = 2_048

    private struct Times {
        var running: UInt64
        var waiting: UInt64
        var periods: UInt64
    }

    private let context: CollectionContext
    private let members: KernelFile
    private let slots: [TargetSamples.Slot]
    private var known: [Int32: Times] = [:]
    private var total = Times(running: 0, waiting: 0, periods: 0)

    init?(_ context: ContainerContext, _ samples: TargetSamples) {
        // Beside v1 hierarchies the v2 one may have the group and not its processes.
        let lists = [
            context.unified("cgroup.threads"), context.legacy(.cpuacct, "tasks"), context.legacy(.pids, "tasks"),
        ].compactMap(\.self)
        guard context.collection.open("/proc/self/schedstat") != nil,
            let members = lists.first(where: { !context.collection.identifiers($0, maximum: 1).isEmpty })
                ?? lists.first
        else { return nil }
        self.context = context.collection
        self.members = members
        slots = Self.metrics.map { samples.slot($0) }
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        let threads = context.identifiers(members, maximum: Self.threadsMaximum)
        guard !threads.isEmpty else { return }
        var current: [Int32: Times] = [:]
        current.reserveCapacity(threads.count)
        for thread in threads {
            guard let times = times(thread) else { continue }
            let before = known[thread]
            // A number that was given to another thread since begins anew.
            let isSame = before.map { $0.running <= times.running && $0.periods <= times.periods } ?? false
            total.running += times.running - (isSame ? before?.running ?? 0 : 0)
            total.waiting += times.waiting - min(times.waiting, isSame ? before?.waiting ?? 0 : 0)
            total.periods += times.periods - (isSame ? before?.periods ?? 0 : 0)
            current[thread] = times
        }
        guard !current.isEmpty else { return }
        known = current
        samples.set(slots[0], Double(total.running) / 1e9)
        samples.set(slots[1], Double(total.waiting) / 1e9)
        samples.set(slots[2], total.periods)
    }

    private func times(_ thread: Int32) -> Times? {
        context.once("/proc/\(thread)/schedstat") { bytes in
            var scanner = FieldScanner(bytes)
            guard let running = scanner.unsigned(), let waiting = scanner.unsigned(), let periods = scanner.unsigned()
            else { return nil }
            return Times(running: running, waiting: waiting, periods: periods)
        }
    }
}
