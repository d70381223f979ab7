/// What a CPU quota costs a container: cAdvisor's cfs metrics, only where a quota is set, as cAdvisor does.
final class ContainerThrottlingCollector: Collector {
    private static let periods = Metric.counter(
        "container_cpu_cfs_periods_total", "Number of elapsed enforcement period intervals.")
    private static let throttledPeriods = Metric.counter(
        "container_cpu_cfs_throttled_periods_total", "Number of throttled period intervals.")
    private static let throttledSeconds = Metric.counter(
        "container_cpu_cfs_throttled_seconds_total", "Total time duration the container has been throttled.")
    private static let burstPeriods = Metric.counter(
        "container_cpu_cfs_burst_periods_total", "Number of periods when burst occurs.")
    private static let burstSeconds = Metric.counter(
        "container_cpu_cfs_burst_seconds_total", "Total time duration the container has been bursted.")

    private let context: CollectionContext
    private let limit: KernelFile
    private var stat: KeyedSeries
    private var hasQuota = false
    /// A quota may be set later; it is looked for now and then.
    private var look = Rhythm(every: HostTarget.slowEvery)

    init?(_ context: ContainerContext, _ samples: TargetSamples) {
        let isLegacy: Bool
        let file: KernelFile
        if let stat = context.legacy(.cpu, "cpu.stat"), let quota = context.legacy(.cpu, "cpu.cfs_quota_us") {
            isLegacy = true
            (file, limit) = (stat, quota)
        } else if let stat = context.unified("cpu.stat"), let maximum = context.unified("cpu.max") {
            isLegacy = false
            (file, limit) = (stat, maximum)
        } else {
            return nil
        }
        self.context = context.collection
        let units = isLegacy ? 1e9 : 1e6
        stat = KeyedSeries(
            file,
            [
                KeyedSeries.Field("nr_periods", samples.slot(Self.periods)),
                KeyedSeries.Field("nr_throttled", samples.slot(Self.throttledPeriods)),
                KeyedSeries.Field(
                    isLegacy ? "throttled_time" : "throttled_usec", samples.slot(Self.throttledSeconds),
                    unitsPerOne: units),
                KeyedSeries.Field("nr_bursts", samples.slot(Self.burstPeriods)),
                KeyedSeries.Field(
                    isLegacy ? "burst_time" : "burst_usec", samples.slot(Self.burstSeconds), unitsPerOne: units),
            ])
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        // No limit is written -1 or max, which are no unsigned numbers.
        if look.isDue(at: tick.number) { hasQuota = context.number(limit) != nil }
        if hasQuota { stat.collect(context, into: samples) }
    }
}
