/// States of systemd's units under node_exporter's names, which has them off by default and alerts on them all the
/// same. Slow lane, and asked only at every fourth round: each question makes the host's first process write a list of
/// all units.
final class HostUnitCollector: Collector {
    private static let states = ["active", "activating", "deactivating", "inactive", "failed"]
    /// node_exporter leaves these out.
    private static let ignoredKinds = [".automount", ".device", ".mount", ".scope", ".slice"]
    private static let state = Metric.gauge("node_systemd_unit_state", "Systemd unit")
    private static let summary = Metric.gauge("node_systemd_units", "Summary of systemd unit states")
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
            guard shown < Self.unitsMaximum, !Self.ignoredKinds.contains(where: { unit.name.hasSuffix($0) }) else {
                continue
            }
            shown += 1
            for name in Self.states {
                // Its type would need a question for every unit.
                samples.set(
                    samples.slot(Self.state, ("name", unit.name), ("state", name), ("type", "")),
                    name == unit.active ? 1 : 0 as Double)
            }
        }
        for (name, count) in zip(Self.states, counts) {
            samples.set(samples.slot(Self.summary, ("state", name)), Double(count))
        }
    }
}
