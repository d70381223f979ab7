internal import Telemetry

/// One container as the collection thread sees it: its series, its collectors, its watch.
final class ContainerTarget {
    private(set) var container: Container
    private(set) var samples: TargetSamples
    private(set) var watch: ContainerWatch?
    private var collectors: [any Collector] = []
    private var lifecycle: ContainerLifecycleCollector?
    private var processor: ContainerCPUCollector?
    /// The CPU time at the last reading of everything; nil when everything is to be read.
    private var lastProcessorTime: UInt64?
    /// Spreads the full readings of idle containers over the ticks.
    private let phase: Int

    /// An idle container is read whole every so many ticks.
    static let idleTicks = 5
    private let context: CollectionContext
    private let intervalMilliseconds: Int64

    /// A target without collectors; `adopt` makes them.
    init(_ container: Container, context: CollectionContext, intervalMilliseconds: Int64) {
        self.container = container
        self.context = context
        self.intervalMilliseconds = intervalMilliseconds
        samples = Self.samples(container, context, intervalMilliseconds)
        phase = container.id.utf8.reduce(0) { $0 + Int($1) }
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

    /// Reads everything. Where no process of the container ran since the last reading, its other numbers stand as they
    /// were, and all but every fifth reading is spared: most containers of most hosts are idle, and nineteen files each
    /// second for every one of them is most of what an agent costs. (What others do to an idle container, such as
    /// packets it drops or memory that is reclaimed, is seen some seconds later.)
    func collect(_ tick: Tick) {
        samples.begin(milliseconds: tick.milliseconds)
        let time = processor?.time()
        let isIdle = time != nil && time == lastProcessorTime && container.isRunning
        lastProcessorTime = time
        if isIdle, !tick.isSlow, (tick.number + phase) % Self.idleTicks != 0, let lifecycle {
            samples.setAgain(but: lifecycle.ownSlots)
            lifecycle.collect(tick, into: samples)
        } else {
            for collector in collectors { collector.collect(tick, into: samples) }
        }
        samples.finish()
    }

    /// Only the start and the counters of events, now: for a batch that wakes rules.
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
        processor = collectors.lazy.compactMap { $0 as? ContainerCPUCollector }.first
        lastProcessorTime = nil
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
