internal import Telemetry

/// One container as the collection thread sees it: its series, its collectors, its watch.
final class ContainerTarget {
    private(set) var container: Container
    private(set) var samples: TargetSamples
    private(set) var watch: ContainerWatch?
    private var collectors: [any Collector] = []
    private var lifecycle: ContainerLifecycleCollector?
    private let context: CollectionContext
    private let intervalMilliseconds: Int64

    /// A target without collectors; `adopt` makes them.
    init(_ container: Container, context: CollectionContext, intervalMilliseconds: Int64) {
        self.container = container
        self.context = context
        self.intervalMilliseconds = intervalMilliseconds
        samples = Self.samples(container, context, intervalMilliseconds)
        makeCollectors()
    }

    /// Takes over a changed container: files are opened again, series keep their slots unless their labels changed.
    /// Returns the end of the old series where they did.
    func adopt(_ container: Container, milliseconds: Int64) -> SampleGroup? {
        guard container != self.container else { return nil }
        let labels = container.seriesLabels(node: context.node)
        let isSame = labels.elementsEqual(self.container.seriesLabels(node: context.node)) { $0 == $1 }
        self.container = container
        var ended: SampleGroup?
        if !isSame {
            ended = samples.end(milliseconds: milliseconds)
            samples = Self.samples(container, context, intervalMilliseconds)
        }
        makeCollectors()
        return ended
    }

    /// Replaces the watch where the container's life is another one.
    func watch(
        loop: ReadyLoop, hub: EventHub, baseline: KillBaseline, onEnd: @escaping (Int64) -> Void,
        prepare: (ContainerWatch) -> Void
    ) {
        guard container.isRunning else {
            watch = nil
            return
        }
        guard watch?.life != ContainerWatch.life(of: container) else { return }
        watch = nil
        let fresh = ContainerWatch(
            container, baseline: baseline, context: context, loop: loop, hub: hub, onEnd: onEnd)
        prepare(fresh)
        watch = fresh
        // What happened before the watch was there is in the counters.
        fresh.look()
    }

    /// Reads everything.
    func collect(_ tick: Tick) {
        samples.begin(milliseconds: tick.milliseconds)
        for collector in collectors { collector.collect(tick, into: samples) }
        samples.finish()
    }

    /// Only the counters of events, now: for a batch that wakes rules.
    func collectEvents(_ tick: Tick) -> SampleGroup? {
        guard let lifecycle else { return nil }
        samples.beginEvent(milliseconds: tick.milliseconds)
        lifecycle.collectEvents(into: samples)
        return samples.compact
    }

    private func makeCollectors() {
        let container = ContainerContext(container: container, collection: context)
        collectors = Collectors.all.compactMap { entry in
            guard case .container(let make) = entry else { return nil }
            return make(container, samples)
        }
        lifecycle = collectors.lazy.compactMap { $0 as? ContainerLifecycleCollector }.first
    }

    private static func samples(
        _ container: Container, _ context: CollectionContext, _ intervalMilliseconds: Int64
    ) -> TargetSamples {
        let base = container.seriesLabels(node: context.node)
        let identifying: Set<String> = ["job", "instance", "id", "name"]
        return TargetSamples(
            base: base, target: Labels(base.filter { identifying.contains($0.name) }),
            intervalMilliseconds: intervalMilliseconds)
    }
}
