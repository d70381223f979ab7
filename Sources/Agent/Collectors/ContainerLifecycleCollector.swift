/// Life and death of a container: start time, last sight, and counters of events that exist with 0 from discovery on.
///
/// It goes on while a container is stopped, so that an OOM kill is visible after the container died of it.
final class ContainerLifecycleCollector: Collector {
    private static let started = Metric.gauge(
        "container_start_time_seconds", "Start time of the container since unix epoch in seconds.")
    private static let seen = Metric.gauge("container_last_seen", "Last time the container was seen running.")
    private static let running = Metric.gauge("container_running", "1 while the container runs, else 0.")

    private let context: CollectionContext
    private let container: Container
    private let slots: [TargetSamples.Slot]
    private let events: [(TargetSamples.Slot, EventCounters.Kind)]
    private let startedSeconds: Double?

    init?(_ context: ContainerContext, _ samples: TargetSamples) {
        self.context = context.collection
        container = context.container
        slots = [Self.started, Self.seen, Self.running].map { samples.slot($0) }
        events = EventCounters.Kind.allCases.map { (samples.slot($0.metric), $0) }
        startedSeconds = container.startedNanoseconds > 0 ? Double(container.startedNanoseconds) / 1e9 : nil
    }

    /// The slots of all it sets.
    var ownSlots: [TargetSamples.Slot] { slots + events.map(\.0) }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        if container.isRunning { samples.set(slots[1], (Double(tick.milliseconds) / 1000).rounded(.down)) }
        samples.set(slots[2], container.isRunning ? 1 : 0 as Double)
        collectEvents(into: samples)
    }

    /// Sets the start and the counters of events alone.
    func collectEvents(into samples: TargetSamples) {
        if let startedSeconds { samples.set(slots[0], startedSeconds) }
        for (slot, kind) in events { samples.set(slot, Double(context.counters.count(kind, of: container.id))) }
    }
}
