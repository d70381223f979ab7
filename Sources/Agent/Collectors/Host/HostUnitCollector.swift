/// States of systemd's units, restarts of services and last runs of timers under node_exporter's names, which has them
/// off by default and alerts on them all the same. Slow lane, and asked only at every fourth round: each question makes
/// the host's first process write a list of all units.
final class HostUnitCollector: Collector {
    private static let states = ["active", "activating", "deactivating", "inactive", "failed"]
    /// node_exporter leaves these out.
    private static let ignoredKinds = [".automount", ".device", ".mount", ".scope", ".slice", ".target"]
    private static let state = Metric.gauge("node_systemd_unit_state", "Systemd unit")
    private static let summary = Metric.gauge("node_systemd_units", "Summary of systemd unit states")
    private static let restarts = Metric.counter(
        "node_systemd_service_restart_total", "Service unit count of Restart triggers")
    private static let trigger = Metric.gauge(
        "node_systemd_timer_last_trigger_seconds", "Seconds since epoch of last trigger.")
    private static let unitsMaximum = 1_000

    private let source: any UnitStates
    private var units: [UnitState] = []
    private var ask = Rhythm(every: 4 * HostTarget.slowEvery)
    /// Asked again after ten minutes.
    private var pause = Rhythm(every: 600)
    private var isSilent = false

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        guard let source = context.units else { return nil }
        self.source = source
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        if isSilent ? pause.isDue(at: tick.number) : ask.isDue(at: tick.number) {
            let list = source.list()
            isSilent = list == nil
            units = list ?? []
            if isSilent { pause.note(tick.number) }
        }
        guard !units.isEmpty else { return }
        var counts = Array(repeating: 0, count: Self.states.count)
        var shown = 0
        for unit in units {
            if let index = Self.states.firstIndex(of: unit.active) { counts[index] += 1 }
            // What is not loaded is only wished for by others.
            guard shown < Self.unitsMaximum, unit.load == "loaded",
                !Self.ignoredKinds.contains(where: { unit.name.hasSuffix($0) })
            else {
                continue
            }
            shown += 1
            for name in Self.states {
                samples.set(
                    samples.slot(Self.state, ("name", unit.name), ("state", name), ("type", unit.type)),
                    name == unit.active ? 1 : 0 as Double)
            }
            if let count = unit.restarts { samples.set(samples.slot(Self.restarts, ("name", unit.name)), count) }
            if let seconds = unit.triggeredSeconds {
                samples.set(samples.slot(Self.trigger, ("name", unit.name)), seconds)
            }
        }
        for (name, count) in zip(Self.states, counts) {
            samples.set(samples.slot(Self.summary, ("state", name)), Double(count))
        }
    }
}
