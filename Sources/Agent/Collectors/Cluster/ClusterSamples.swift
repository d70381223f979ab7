internal import Telemetry

/// The series of this node's pods and of the node itself under kube-state-metrics' names. Each agent tells of its own
/// node, so that a cluster of any size has them with nobody who must know it all. Belongs to the collection thread.
final class ClusterSamples {
    /// One pod, or the node: its series, and what they are now.
    private final class Target {
        let samples: TargetSamples
        var values: [(slot: TargetSamples.Slot, value: Double)] = []
        var pod: PodDescription?
        var isChanged = true
        private var slow: Rhythm

        init(_ samples: TargetSamples, phase: Int) {
            self.samples = samples
            slow = Rhythm(every: HostTarget.slowEvery, phase: phase)
        }

        /// Slots cost more than values: they are looked up when something changed.
        func set(_ families: [(Metric, [PodFamily.Point])]) {
            values = families.flatMap { metric, points in
                points.map { (samples.slot(metric, $0.labels.filter { !$0.1.isEmpty }), $0.value) }
            }
            isChanged = true
        }

        func collect(_ tick: Tick) -> SampleGroup? {
            guard isChanged || slow.isDue(at: tick.number) else { return nil }
            if isChanged { slow.note(tick.number) }
            isChanged = false
            samples.begin(milliseconds: tick.milliseconds)
            for (slot, value) in values { samples.set(slot, value) }
            samples.finish()
            return samples.group
        }
    }

    private let view: ClusterView
    private let agentNode: String
    private let intervalMilliseconds: Int64
    private var generation: UInt64 = 0
    private var pods: [String: Target] = [:]
    private var node: (name: String, target: Target)?

    /// A kubelet runs at most some hundred pods; whoever claims more is not believed.
    private static let podsMaximum = 2_048
    /// Each start of a container of a pod makes a series: one that fails for weeks begins anew after so many.
    private static let seriesMaximum = 1_024

    /// Samples of what `view` knows, sent by the agent of `node`.
    init(_ view: ClusterView, node: String, intervalMilliseconds: Int64) {
        self.view = view
        agentNode = node
        self.intervalMilliseconds = intervalMilliseconds
    }

    /// The groups that have news: those of what changed at once, the others in the slow lane.
    func collect(_ tick: Tick) -> [SampleGroup] {
        let snapshot = view.snapshot
        var groups: [SampleGroup] = []
        if snapshot.generation != generation {
            generation = snapshot.generation
            groups += follow(snapshot, tick)
        }
        groups += pods.values.compactMap { $0.collect(tick) }
        if let group = node?.target.collect(tick) { groups.append(group) }
        return groups
    }

    /// What is to be said about metrics that were declared since the last call.
    func takeMetadata() -> [MetricMetadata] {
        pods.values.flatMap { $0.samples.takeMetadata() } + (node?.target.samples.takeMetadata() ?? [])
    }

    /// Returns the ends of what is gone.
    private func follow(_ snapshot: ClusterView.Snapshot, _ tick: Tick) -> [SampleGroup] {
        var ended: [SampleGroup] = []
        let known = snapshot.pods ?? [:]
        for (uid, target) in pods where known[uid] == nil {
            ended.append(target.samples.end(milliseconds: tick.milliseconds))
            pods[uid] = nil
        }
        for (uid, pod) in known {
            if let target = pods[uid], target.samples.group.series.count > Self.seriesMaximum {
                ended.append(target.samples.end(milliseconds: tick.milliseconds))
                pods[uid] = nil
            }
            guard let target = pods[uid] ?? (pods.count < Self.podsMaximum ? make(pod) : nil) else { continue }
            pods[uid] = target
            guard target.pod != pod else { continue }
            target.pod = pod
            target.set(PodFamily.all.map { ($0.metric, $0.points(pod)) })
        }
        if let (name, target) = node, name != snapshot.node?.name {
            ended.append(target.samples.end(milliseconds: tick.milliseconds))
            node = nil
        }
        if let described = snapshot.node {
            let target = node?.target ?? make(described)
            node = (described.name, target)
            target.set(NodeFamily.all.map { ($0.metric, $0.points(described)) })
        }
        return ended.filter { !$0.values.isEmpty }
    }

    private func make(_ pod: PodDescription) -> Target {
        target([("namespace", pod.namespace), ("pod", pod.name), ("uid", pod.uid)], phase: pod.uid)
    }

    private func make(_ node: NodeDescription) -> Target { target([("node", node.name)], phase: node.name) }

    /// kube-state-metrics' own labels are the only ones: it has no label `node` where a pod is meant.
    private func target(_ labels: [(name: String, value: String)], phase: String) -> Target {
        let base = [(name: "job", value: "kube-state-metrics"), (name: "instance", value: agentNode)] + labels
        return Target(
            TargetSamples.slow(base: base, target: base, intervalMilliseconds: intervalMilliseconds),
            phase: phase.utf8.reduce(0) { $0 &* 31 &+ Int($1) } & 0xffff)
    }
}
