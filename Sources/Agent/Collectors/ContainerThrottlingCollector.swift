/// CPU limits and what they cost: cAdvisor's cfs metrics (only where a quota is set, as cAdvisor) and CPU
/// specification.
final class ContainerThrottlingCollector: Collector {
    private static let periods = Metric.counter(
        "container_cpu_cfs_periods_total", "Number of elapsed enforcement period intervals.")
    private static let throttledPeriods = Metric.counter(
        "container_cpu_cfs_throttled_periods_total", "Number of throttled period intervals.")
    private static let throttledSeconds = Metric.counter(
        "container_cpu_cfs_throttled_seconds_total", "Time the container has been throttled in seconds.")
    private static let specPeriod = Metric.gauge("container_spec_cpu_period", "CPU period of the container in µs.")
    private static let specQuota = Metric.gauge("container_spec_cpu_quota", "CPU quota of the container in µs.")
    private static let specShares = Metric.gauge("container_spec_cpu_shares", "CPU share of the container.")

    private enum Limits {
        case legacy(quota: KernelFile, period: KernelFile?, shares: KernelFile?)
        case unified(maximum: KernelFile, weight: KernelFile?)
    }

    private let context: CollectionContext
    private let stat: KernelFile
    private let limits: Limits
    private let unitsPerSecond: Double
    private var fields: KeyedFields
    private var quota: Double?
    private var period: Double?
    private var shares: Double?
    private let slots: [TargetSamples.Slot]

    init?(_ context: ContainerContext, _ samples: TargetSamples) {
        if let stat = context.legacy(.cpu, "cpu.stat"), let quota = context.legacy(.cpu, "cpu.cfs_quota_us") {
            self.stat = stat
            limits = .legacy(
                quota: quota, period: context.legacy(.cpu, "cpu.cfs_period_us"),
                shares: context.legacy(.cpu, "cpu.shares"))
            fields = KeyedFields(["nr_periods", "nr_throttled", "throttled_time"])
            unitsPerSecond = 1e9
        } else if let stat = context.unified("cpu.stat"), let maximum = context.unified("cpu.max") {
            self.stat = stat
            limits = .unified(maximum: maximum, weight: context.unified("cpu.weight"))
            fields = KeyedFields(["nr_periods", "nr_throttled", "throttled_usec"])
            unitsPerSecond = 1e6
        } else {
            return nil
        }
        self.context = context.collection
        slots = [
            samples.slot(Self.periods), samples.slot(Self.throttledPeriods), samples.slot(Self.throttledSeconds),
            samples.slot(Self.specPeriod), samples.slot(Self.specQuota), samples.slot(Self.specShares),
        ]
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        if tick.isSlow { readLimits() }
        if let period { samples.set(slots[3], period) }
        if let shares { samples.set(slots[5], shares) }
        guard let quota else { return }
        samples.set(slots[4], quota)
        guard context.read(stat, { fields.parse($0) }) != nil else { return }
        samples.set(slots[0], fields.values[0])
        samples.set(slots[1], fields.values[1])
        samples.set(slots[2], Double(fields.values[2]) / unitsPerSecond)
    }

    private func number(_ file: KernelFile) -> Double? { context.number(file).map { Double($0) } }

    private func readLimits() {
        switch limits {
        case .legacy(let quotaFile, let periodFile, let sharesFile):
            // No limit is written -1, which is no unsigned number.
            quota = number(quotaFile)
            period = periodFile.flatMap { number($0) }
            shares = sharesFile.flatMap { number($0) }
        case .unified(let maximum, let weightFile):
            let both: (UInt64?, UInt64?)? = context.read(maximum) { bytes in
                var scanner = FieldScanner(bytes)
                let first = scanner.unsigned()
                return (first, scanner.unsigned())
            }
            quota = both?.0.map { Double($0) }
            period = both?.1.map { Double($0) }
            // The inverse of the runtimes' conversion of shares to weights, as cAdvisor computes it.
            let weight = weightFile.flatMap { context.number($0) }
            shares = weight.map { Double(2 + (($0 &- min($0, 1)) * 262_142) / 9_999) }
        }
    }
}
