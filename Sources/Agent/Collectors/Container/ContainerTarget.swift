internal import Telemetry

/// One container as the collection thread sees it: its series, its collectors, its watch.
final class ContainerTarget {
    private(set) var container: Container
    /// What it is an instance of.
    private(set) var service: String
    /// What is read at each tick.
    private(set) var samples: TargetSamples
    /// What hardly changes or is dear to read, in a group of its own.
    private(set) var slowSamples: TargetSamples
    private(set) var watch: ContainerWatch?
    private var collectors: [any Collector] = []
    private var slowCollectors: [any Collector] = []
    private var lifecycle: ContainerLifecycleCollector?
    private var processor: ContainerCPUCollector?
    private var memory: ContainerMemoryCollector?
    /// The CPU time at the tick before, and when that was.
    private var lastUsage: (time: UInt64, nanoseconds: Int64)?
    /// The CPU time at the last reading of everything; nil when everything is to be read.
    private var lastProcessorTime: UInt64?
    /// Spreads the full readings of idle containers, and the slow lanes of all, over the ticks.
    private let phase: Int
    private var full: Rhythm
    private var slow: Rhythm

    /// In how many hierarchies the group was when the files were opened, and how often that is still looked at: a
    /// runtime makes the group in one after the other, and the first is enough for the container to be noticed.
    private var groupCount = 0
    private var looksLeft = 0
    private static let looksMaximum = 5

    /// An idle container is read whole once in so many intervals.
    static let idleEvery = 5
    private let context: CollectionContext
    private let intervalMilliseconds: Int64

    /// A target without collectors; `adopt` makes them.
    init(_ container: Container, context: CollectionContext, intervalMilliseconds: Int64) {
        self.container = container
        service = container.service
        self.context = context
        self.intervalMilliseconds = intervalMilliseconds
        (samples, slowSamples) = Self.samples(container, context, intervalMilliseconds)
        phase = container.id.utf8.reduce(0) { $0 &* 31 &+ Int($1) } & 0xffff
        full = Rhythm(every: Self.idleEvery, phase: phase)
        slow = Rhythm(every: HostTarget.slowEvery, phase: phase)
        looksLeft = Self.looksMaximum
        makeCollectors()
    }

    /// Takes over a changed container: files are opened again, series keep their slots unless their labels changed.
    /// Returns the ends of the old series where they did.
    func adopt(_ container: Container, milliseconds: Int64) -> [SampleGroup] {
        guard container != self.container else { return [] }
        let labels = container.seriesLabels(node: context.node)
        let isSame = labels.elementsEqual(self.container.seriesLabels(node: context.node)) { $0 == $1 }
        self.container = container
        service = container.service
        var ended: [SampleGroup] = []
        if !isSame {
            ended = end(milliseconds: milliseconds)
            (samples, slowSamples) = Self.samples(container, context, intervalMilliseconds)
        }
        looksLeft = Self.looksMaximum
        makeCollectors()
        return ended
    }

    /// The ends of all series: the container is gone, or has another name.
    func end(milliseconds: Int64) -> [SampleGroup] {
        [samples, slowSamples].map { $0.end(milliseconds: milliseconds) }.filter { !$0.values.isEmpty }
    }

    /// Replaces the watch where the container's life is another one.
    func watch(
        loop: ReadyLoop, hub: EventHub, baseline: KillBaseline, onEnd: @escaping (Int64) -> Void,
        prepare: (ContainerWatch) -> Void
    ) {
        guard container.isRunning else {
            // The life that just ended still learns its exit code.
            if watch?.isAwaitingCode != true { watch = nil }
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

    /// Reads what is due and returns the groups that have news. Where no process of the container ran since the last
    /// reading, its other numbers stand as they were, and all but every fifth reading is spared: most containers of
    /// most hosts are idle, and twenty files each second for every one of them is most of what an agent costs. (What
    /// others do to an idle container, such as packets it drops or memory that is reclaimed, is seen seconds later.)
    @discardableResult
    func collect(_ tick: Tick) -> [SampleGroup] {
        openLateFiles()
        samples.begin(milliseconds: tick.milliseconds)
        let time = processor?.time()
        let isIdle = time != nil && time == lastProcessorTime && container.isRunning
        lastProcessorTime = time
        let isFull = full.isDue(at: tick.number)
        if isIdle, !isFull, let lifecycle {
            samples.setAgain(but: lifecycle.ownSlots)
            lifecycle.collect(tick, into: samples)
        } else {
            for collector in collectors { collector.collect(tick, into: samples) }
        }
        samples.finish()
        guard slow.isDue(at: tick.number) else { return [samples.group] }
        slowSamples.read(tick, by: slowCollectors)
        return slowSamples.group.values.isEmpty ? [samples.group] : [samples.group, slowSamples.group]
    }

    /// What the container took since the last tick; nil where that is not known.
    func takeUsage(_ tick: Tick) -> ContainerUsage? {
        guard let time = lastProcessorTime, let processor else {
            lastUsage = nil
            return nil
        }
        defer { lastUsage = (time, tick.nanoseconds) }
        let memoryBytes = Double(memory?.workingSetBytes ?? 0)
        guard let (before, nanoseconds) = lastUsage, time >= before, tick.nanoseconds > nanoseconds else {
            return ContainerUsage(cores: 0, memoryBytes: memoryBytes)
        }
        let seconds = Double(time - before) / processor.unitsPerSecond
        return ContainerUsage(
            cores: seconds / (Double(tick.nanoseconds - nanoseconds) / 1e9), memoryBytes: memoryBytes)
    }

    /// Reads everything of one tick, as if the container were busy; returns how many samples that gave.
    func measureTick(_ tick: Tick) -> Int {
        samples.begin(milliseconds: tick.milliseconds)
        _ = processor?.time()
        for collector in collectors { collector.collect(tick, into: samples) }
        samples.finish()
        return samples.group.values.count
    }

    /// Reads the slow lane; returns how many samples that gave.
    func measureSlowLane(_ tick: Tick) -> Int {
        slowSamples.read(tick, by: slowCollectors)
        return slowSamples.group.values.count
    }

    /// What is to be said about metrics that were declared since the last call.
    func takeMetadata() -> [MetricMetadata] { samples.takeMetadata() + slowSamples.takeMetadata() }

    /// Only the start and the counters of events, now: for a batch that wakes rules.
    func collectEvents(_ tick: Tick) -> SampleGroup? {
        guard let lifecycle else { return nil }
        samples.beginEvent(milliseconds: tick.milliseconds)
        lifecycle.collectEvents(into: samples)
        return samples.compact
    }

    /// Opens the files again where the group has come to further hierarchies since.
    private func openLateFiles() {
        guard looksLeft > 0 else { return }
        looksLeft -= 1
        if ContainerContext(container: container, collection: context).groupCount > groupCount { makeCollectors() }
    }

    private func makeCollectors() {
        // Their descriptors are closed, and what they claimed is free, before others are made.
        (collectors, slowCollectors, lifecycle, processor, memory) = ([], [], nil, nil, nil)
        let container = ContainerContext(container: container, collection: context)
        // Counted first: what comes while the files are opened is looked for once more.
        groupCount = container.groupCount
        if groupCount == context.layout.hierarchies.count { looksLeft = 0 }
        collectors = Collectors.all.compactMap { entry in
            guard case .container(let make) = entry else { return nil }
            return make(container, samples)
        }
        slowCollectors = Collectors.all.compactMap { entry in
            guard case .slowContainer(let make) = entry else { return nil }
            return make(container, slowSamples)
        }
        full = Rhythm(every: Self.idleEvery, phase: phase)
        slow = Rhythm(every: HostTarget.slowEvery, phase: phase)
        lifecycle = collectors.lazy.compactMap { $0 as? ContainerLifecycleCollector }.first
        processor = collectors.lazy.compactMap { $0 as? ContainerCPUCollector }.first
        memory = collectors.lazy.compactMap { $0 as? ContainerMemoryCollector }.first
        lastProcessorTime = nil
    }

    private static func samples(
        _ container: Container, _ context: CollectionContext, _ intervalMilliseconds: Int64
    ) -> (TargetSamples, TargetSamples) {
        let base = container.seriesLabels(node: context.node)
        let identifying: Set<String> = ["job", "instance", "id", "name"]
        let target = base.filter { identifying.contains($0.name) }
        return (
            TargetSamples(base: base, target: Labels(target), intervalMilliseconds: intervalMilliseconds),
            TargetSamples.slow(base: base, target: target, intervalMilliseconds: intervalMilliseconds)
        )
    }
}
