internal import Telemetry

/// The host as the collection thread sees it: its series and its collectors.
final class HostTarget {
    /// What is read at each tick.
    let samples: TargetSamples
    /// What hardly changes or is dear to read, in a group of its own: once in fifteen intervals.
    let slowSamples: TargetSamples
    private let collectors: [any Collector]
    private let slowCollectors: [any Collector]
    private var slow = Rhythm(every: HostTarget.slowEvery)

    /// The slow lane of hosts and containers comes round once in so many intervals.
    static let slowEvery = 15

    /// All host collectors whose sources are there.
    init(_ context: CollectionContext, intervalMilliseconds: Int64) {
        let base: [(name: String, value: String)] = [
            ("job", "node"), ("instance", context.node), ("node", context.node),
        ]
        let samples = TargetSamples(base: base, target: Labels(base), intervalMilliseconds: intervalMilliseconds)
        let slowSamples = TargetSamples.slow(base: base, target: base, intervalMilliseconds: intervalMilliseconds)
        self.samples = samples
        self.slowSamples = slowSamples
        collectors = Collectors.all.compactMap { entry in
            guard case .host(let make) = entry else { return nil }
            return make(context, samples)
        }
        slowCollectors = Collectors.all.compactMap { entry in
            guard case .slowHost(let make) = entry else { return nil }
            return make(context, slowSamples)
        }
    }

    /// Reads what is due and returns the groups that have news.
    @discardableResult
    func collect(_ tick: Tick) -> [SampleGroup] {
        samples.read(tick, by: collectors)
        guard slow.isDue(at: tick.number) else { return [samples.group] }
        slowSamples.read(tick, by: slowCollectors)
        return [samples.group, slowSamples.group]
    }

    /// What is to be said about metrics that were declared since the last call.
    func takeMetadata() -> [MetricMetadata] { samples.takeMetadata() + slowSamples.takeMetadata() }
}
