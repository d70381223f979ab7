/// Life and death of a container: start time, last sight, and counters of events that exist with 0 from discovery on.
///
/// It goes on while a container is stopped, so that an OOM kill is visible after the container died of it.
final class ContainerLifecycleCollector: Collector {
    private static let created = Metric.gauge(
        "container_creation_time_seconds", "Container creation time since unix epoch in seconds.")
    private static let health = Metric.gauge(
        "container_health_state", "The result of the container's health check: 1 healthy, 0 not, -1 has none.")
    private static let started = Metric.gauge(
        "container_start_time_seconds", "Start time of the container since unix epoch in seconds.")
    private static let seen = Metric.gauge("container_last_seen", "Last time the container was seen running.")
    private static let running = Metric.gauge("container_running", "1 while the container runs, else 0.")

    private let context: CollectionContext
    private let container: Container
    private let slots: [TargetSamples.Slot]
    private let events: [(TargetSamples.Slot, EventCounters.Kind)]
    private let startedSeconds: Double?
    private let createdSeconds: Double?

    init?(_ context: ContainerContext, _ samples: TargetSamples) {
        self.context = context.collection
        container = context.container
        slots = [Self.started, Self.seen, Self.running, Self.created, Self.health].map { samples.slot($0) }
        events = EventCounters.Kind.allCases.map { (samples.slot($0.metric), $0) }
        // Where no engine tells, a group is as old as its folder.
        let group = context.groupCreatedSeconds
        startedSeconds = container.startedNanoseconds > 0 ? Double(container.startedNanoseconds) / 1e9 : group
        createdSeconds = container.createdNanoseconds > 0 ? Double(container.createdNanoseconds) / 1e9 : group
    }

    /// The slots of all it sets.
    var ownSlots: [TargetSamples.Slot] { slots + events.map(\.0) }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        if container.isRunning { samples.set(slots[1], (Double(tick.milliseconds) / 1000).rounded(.down)) }
        samples.set(slots[2], container.isRunning ? 1 : 0 as Double)
        if let createdSeconds { samples.set(slots[3], createdSeconds.rounded(.down)) }
        if container.isRunning {
            let state: Double = container.health.isEmpty ? -1 : container.health == "healthy" ? 1 : 0
            samples.set(slots[4], state)
        }
        collectEvents(into: samples)
    }

    /// Sets the start and the counters of events alone.
    func collectEvents(into samples: TargetSamples) {
        if let startedSeconds { samples.set(slots[0], startedSeconds) }
        for (slot, kind) in events { samples.set(slot, Double(context.counters.count(kind, of: container.id))) }
    }
}
