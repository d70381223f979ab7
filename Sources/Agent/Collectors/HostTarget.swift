internal import Telemetry

/// The host as the collection thread sees it: its series and its collectors.
final class HostTarget {
    let samples: TargetSamples
    private let collectors: [any Collector]

    /// All host collectors whose sources are there.
    init(_ context: CollectionContext, intervalMilliseconds: Int64) {
        let base: [(name: String, value: String)] = [
            ("job", "node"), ("instance", context.node), ("node", context.node),
        ]
        let samples = TargetSamples(base: base, target: Labels(base), intervalMilliseconds: intervalMilliseconds)
        self.samples = samples
        collectors = Collectors.all.compactMap { entry in
            guard case .host(let make) = entry else { return nil }
            return make(context, samples)
        }
    }

    /// Reads everything.
    func collect(_ tick: Tick) {
        samples.begin(milliseconds: tick.milliseconds)
        for collector in collectors { collector.collect(tick, into: samples) }
        samples.finish()
    }
}
