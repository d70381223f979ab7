internal import Telemetry

/// The cgroups above containers (the root, slices, pods) under cAdvisor's names, as a kubelet shows them: `id` is the
/// path, `container`, `name` and `image` are empty. What a pod or a slice takes includes what belongs to no container
/// in it, such as its tmpfs and its sandbox, and its limits hold for all of it together.
///
/// They are few, and dashboards look at them seldom: slow lane. Belongs to the collection thread.
final class ParentGroups {
    /// A pod's name, which its group does not carry.
    private struct Pod: Equatable {
        var namespace: String
        var name: String
    }

    /// One group.
    private final class Target {
        let pod: Pod?
        let samples: TargetSamples
        private let collectors: [any Collector]
        private var slow: Rhythm

        init(_ path: String, _ pod: Pod?, _ context: CollectionContext, _ intervalMilliseconds: Int64) {
            self.pod = pod
            let target: [(name: String, value: String)] = [
                ("job", "cadvisor"), ("instance", context.node), ("id", path),
            ]
            var base = target + [(name: "node", value: context.node)]
            if let pod { base += [(name: "namespace", value: pod.namespace), (name: "pod", value: pod.name)] }
            let samples = TargetSamples.slow(
                base: base, target: target, intervalMilliseconds: intervalMilliseconds)
            self.samples = samples
            let place = ContainerContext(parent: path, collection: context)
            collectors = Collectors.all.compactMap { entry in
                guard case .parent(let make) = entry else { return nil }
                return make(place, samples)
            }
            slow = Rhythm(every: HostTarget.slowEvery, phase: path.utf8.reduce(0) { $0 &* 31 &+ Int($1) } & 0xffff)
        }

        func collect(_ tick: Tick) -> SampleGroup? {
            guard slow.isDue(at: tick.number) else { return nil }
            samples.read(tick, by: collectors)
            return samples.group.values.isEmpty ? nil : samples.group
        }
    }

    private let context: CollectionContext
    private let intervalMilliseconds: Int64
    private var targets: [String: Target] = [:]
    private var seen: (groups: UInt64, containers: UInt64) = (.max, .max)

    /// No groups yet.
    init(_ context: CollectionContext, intervalMilliseconds: Int64) {
        self.context = context
        self.intervalMilliseconds = intervalMilliseconds
    }

    /// Follows the groups at `paths`, a list of that generation, and the pods that containers name. Returns the ends of
    /// those that are gone.
    func follow(
        _ paths: [String], generation: UInt64, _ snapshot: ContainerRegistry.Snapshot, milliseconds: Int64
    ) -> [SampleGroup] {
        guard seen != (generation, snapshot.generation) else { return [] }
        seen = (generation, snapshot.generation)
        var pods: [String: Pod] = [:]
        for container in snapshot.containers.values {
            guard let uid = container.podUID, let namespace = container.namespace, let name = container.pod else {
                continue
            }
            pods[uid] = Pod(namespace: namespace, name: name)
        }
        var ended: [SampleGroup] = []
        let wanted = Set(paths)
        for (path, target) in targets where !wanted.contains(path) {
            ended.append(target.samples.end(milliseconds: milliseconds))
            targets[path] = nil
        }
        for path in paths {
            let pod = ContainerPath.pod(ofGroup: path).flatMap { pods[$0] }
            if let target = targets[path] {
                // A pod that loses its last container keeps its name to its end.
                guard let pod, pod != target.pod else { continue }
                ended.append(target.samples.end(milliseconds: milliseconds))
            }
            targets[path] = Target(path, pod, context, intervalMilliseconds)
        }
        return ended.filter { !$0.values.isEmpty }
    }

    /// The groups that are due.
    func collect(_ tick: Tick) -> [SampleGroup] { targets.values.compactMap { $0.collect(tick) } }

    /// What is to be said about metrics that were declared since the last call.
    func takeMetadata() -> [MetricMetadata] { targets.values.flatMap { $0.samples.takeMetadata() } }
}

/// Memory of the root group. Its memory.stat adds up all groups of the host, which took seconds on large ones
/// (cadvisor#2259); /proc/meminfo has the same numbers at hand.
final class RootMemoryCollector: Collector {
    private static let names: [(key: String, metric: Metric)] = [
        ("AnonPages", .gauge("container_memory_rss", "Size of RSS in bytes.")),
        ("Mapped", .gauge("container_memory_mapped_file", "Size of memory mapped files in bytes.")),
        (
            "Active(file)",
            .gauge("container_memory_total_active_file_bytes", "Current total active file in bytes.")
        ),
        (
            "Inactive(file)",
            .gauge("container_memory_total_inactive_file_bytes", "Current total inactive file in bytes.")
        ),
        ("MemTotal", .gauge("container_spec_memory_limit_bytes", "Memory limit for the container, 0 for none.")),
    ]
    private static let cache = Metric.gauge("container_memory_cache", "Number of bytes of page cache memory.")
    private static let usage = Metric.gauge(
        "container_memory_usage_bytes", "Current memory usage in bytes, including all memory.")
    private static let workingSet = Metric.gauge(
        "container_memory_working_set_bytes", "Current working set in bytes: usage without inactive file cache.")

    private let context: CollectionContext
    private let slots: [TargetSamples.Slot]
    private let sums: (cache: TargetSamples.Slot, usage: TargetSamples.Slot, workingSet: TargetSamples.Slot)

    init?(_ context: ContainerContext, _ samples: TargetSamples) {
        guard context.group == "/" else { return nil }
        self.context = context.collection
        slots = Self.names.map { samples.slot($0.metric) }
        sums = (samples.slot(Self.cache), samples.slot(Self.usage), samples.slot(Self.workingSet))
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        guard let text = context.host.text("/proc/meminfo") else { return }
        var values: [Substring: Double] = [:]
        for line in text.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":"),
                let kilobytes = line[colon...].split(separator: " ").dropFirst().first.flatMap({ Double($0) })
            else { continue }
            values[line[..<colon]] = kilobytes * 1_024
        }
        for (slot, (key, _)) in zip(slots, Self.names) {
            if let value = values[Substring(key)] { samples.set(slot, value) }
        }
        guard let cached = values["Cached"], let anonymous = values["AnonPages"] else { return }
        // What the kernel counts as pages of files: buffers are the block devices' own.
        let cache = cached + values["Buffers", default: 0] + values["SwapCached", default: 0]
        samples.set(sums.cache, cache)
        samples.set(sums.usage, anonymous + cache)
        samples.set(sums.workingSet, max(0, anonymous + cache - values["Inactive(file)", default: 0]))
    }
}

extension Collectors.Entry {
    /// Reads the groups above containers but the root, whose own files add up the whole host or are not there.
    static func parentBelowRoot(
        _ make: @escaping @Sendable (ContainerContext, TargetSamples) -> (any Collector)?
    ) -> Collectors.Entry {
        .parent { context, samples in context.group == "/" ? nil : make(context, samples) }
    }
}
