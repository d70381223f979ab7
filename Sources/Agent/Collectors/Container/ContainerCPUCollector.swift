/// CPU time of a container under cAdvisor's names: cpuacct on v1, cpu.stat on v2.
final class ContainerCPUCollector: Collector {
    private static let usage = Metric.counter(
        "container_cpu_usage_seconds_total", "CPU time consumed in seconds.")
    private static let user = Metric.counter(
        "container_cpu_user_seconds_total", "CPU time consumed in user mode in seconds.")
    private static let system = Metric.counter(
        "container_cpu_system_seconds_total", "CPU time consumed by the kernel for the container in seconds.")

    private enum Source {
        case legacy(usage: KernelFile, stat: KernelFile?)
        case unified(KernelFile)
    }

    private let context: CollectionContext
    private let source: Source
    private var fields: KeyedFields
    private let usage: TargetSamples.Slot
    private let user: TargetSamples.Slot
    private let system: TargetSamples.Slot

    init?(_ context: ContainerContext, _ samples: TargetSamples) {
        if let usage = context.legacy(.cpuacct, "cpuacct.usage") {
            source = .legacy(usage: usage, stat: context.legacy(.cpuacct, "cpuacct.stat"))
            fields = KeyedFields(["user", "system"])
        } else if let stat = context.unified("cpu.stat") {
            source = .unified(stat)
            fields = KeyedFields(["usage_usec", "user_usec", "system_usec"])
        } else {
            return nil
        }
        self.context = context.collection
        usage = samples.slot(Self.usage, ("cpu", "total"))
        user = samples.slot(Self.user)
        system = samples.slot(Self.system)
    }

    /// How many units of `time` make a second.
    var unitsPerSecond: Double {
        switch source {
        case .legacy: 1e9
        case .unified: 1e6
        }
    }

    /// All CPU time so far, in the kernel's finest unit: unchanged as long as no process of the container runs.
    func time() -> UInt64? {
        switch source {
        case .legacy(let file, _): context.number(file)
        case .unified(let stat): context.read(stat, { fields.parse($0) }) == nil ? nil : fields.values[0]
        }
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        switch source {
        case .legacy(let file, let stat):
            if let nanoseconds = context.number(file) { samples.set(usage, Double(nanoseconds) / 1e9) }
            guard let stat, context.read(stat, { fields.parse($0) }) != nil else { return }
            // Clock ticks; USER_HZ is 100 on every architecture that Linux still supports for servers.
            samples.set(user, Double(fields.values[0]) / 100)
            samples.set(system, Double(fields.values[1]) / 100)
        case .unified(let stat):
            guard context.read(stat, { fields.parse($0) }) != nil else { return }
            samples.set(usage, Double(fields.values[0]) / 1e6)
            samples.set(user, Double(fields.values[1]) / 1e6)
            samples.set(system, Double(fields.values[2]) / 1e6)
        }
    }
}
