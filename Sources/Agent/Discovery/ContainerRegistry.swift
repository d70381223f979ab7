internal import Synchronization
internal import Telemetry

/// The containers known on this host, merged from four views: what the engine says, what its files say, which cgroups
/// there are, and what Kubernetes says of pods. Any of them may be missing; the collection thread and the tailer read
/// whole snapshots.
final class ContainerRegistry: Sendable {
    /// All containers at one moment.
    struct Snapshot: Sendable {
        /// Rises with each change, so that readers see at a glance whether to look again.
        var generation: UInt64 = 0
        var containers: [String: Container] = [:]
    }

    private let state = Mutex(ContainerViews())
    private let dataFolder = Mutex<String?>(nil)
    private let listeners = Mutex<[@Sendable (ContainerDifference) -> Void]>([])

    /// An empty registry.
    init() {}

    /// The containers now.
    var snapshot: Snapshot { state.withLock { $0.merged } }

    /// The container of that id, nil when there is none.
    func container(_ id: String) -> Container? { state.withLock { $0.merged.containers[id] } }

    /// Whether the engine need not be asked about a container that it lists as running or not: its last word stands,
    /// and the kernel has not seen the end of that life.
    func isSettled(_ id: String, isRunning: Bool) -> Bool {
        state.withLock { views in
            guard views.engine.isSettled(id, isRunning: isRunning) else { return false }
            return !isRunning || views.ended[id] == nil || views.ended[id] != views.engine[id]?.startedNanoseconds
        }
    }

    /// Whether the engine answered lately, so that what it says about running and stopped is to be believed.
    func isEngineAnswering(atNanoseconds now: Int64) -> Bool {
        state.withLock { $0.isEngineAnswering(now) }
    }

    /// Fifty milliseconds each.
    private static let looksForWord = 60

    /// Returns once the container is known or the engine has answered, and after three seconds at the latest: an agent
    /// that has just begun has not asked for containers yet, and one that stopped has no cgroup to be known by.
    func awaitWord(about id: String, clock: any MonotonicClock) async {
        for _ in 0..<Self.looksForWord {
            guard container(id) == nil, !isEngineAnswering(atNanoseconds: clock.nowNanoseconds) else { return }
            guard (try? await Task.sleep(for: .milliseconds(50))) != nil else { return }
        }
    }

    /// Calls `listener` after each change, on the thread that changed.
    func onChange(_ listener: @escaping @Sendable (ContainerDifference) -> Void) {
        listeners.withLock { $0.append(listener) }
    }

    /// The engine has these containers and no others, as it said at `now` (monotonic).
    func setEngine(_ containers: [Container], atNanoseconds now: Int64) {
        setEngine(list: Set(containers.map(\.id)), found: containers, askedNanoseconds: now, atNanoseconds: now)
    }

    /// The engine was asked at `asked` and listed its containers; `found` are those it was asked about one by one. Both
    /// times are monotonic.
    func setEngine(list: Set<String>, found: [Container], askedNanoseconds asked: Int64, atNanoseconds now: Int64) {
        change(now) { views in
            for container in found { views.engine.take(container, asked: asked) }
            views.engine.take(list: list, asked: asked)
            views.engineAnswered = now
        }
    }

    /// The engine told about one container at `now` when it was asked at `asked` (monotonic).
    func setEngine(_ container: Container, askedNanoseconds asked: Int64, atNanoseconds now: Int64) {
        change(now) { views in
            views.engine.take(container, asked: asked)
            views.engineAnswered = now
        }
    }

    /// The engine's own file about a container was read at `asked`: it says what an answer would, and when the engine
    /// is slow, says it earlier.
    func setEngineFile(_ container: Container, askedNanoseconds asked: Int64, atNanoseconds now: Int64) {
        change(now) { $0.engine.take(container, asked: asked) }
    }

    /// A container changed, and the engine did not say how.
    func doubtEngine(_ id: String) { state.withLock { $0.engine.doubt(id) } }

    /// The engine removed a container.
    func removeFromEngine(_ id: String, atNanoseconds now: Int64) {
        change(now) { views in
            views.engine.remove(id, at: now)
            views.files[id] = nil
        }
    }

    /// What the engine's own files say; they are asked when the engine does not answer.
    func setFiles(_ containers: [Container], atNanoseconds now: Int64) {
        change(now) { $0.files = Dictionary(containers.map { ($0.id, $0) }) { _, last in last } }
    }

    /// The cgroups that hold containers, by container.
    func setGroups(_ groups: [String: ContainerGroup], atNanoseconds now: Int64) {
        change(now) { $0.groups = groups }
    }

    /// What Kubernetes says of the pods of this node, by the uid that their cgroups carry.
    func setPods(_ pods: [String: PodIdentity], atNanoseconds now: Int64) { change(now) { $0.take(pods: pods) } }

    /// Kubernetes is asked about pods: a container of a pod waits a little for the answer, so that its series do not
    /// begin under another name.
    func expectPods() { state.withLock { $0.expectsPods = true } }

    /// The main process of the life that began at `startedNanoseconds` ended, whatever the engine may still say.
    func noteEnd(of id: String, startedNanoseconds: Int64, atNanoseconds now: Int64) {
        guard startedNanoseconds > 0 else { return }
        change(now) { $0.ended[id] = startedNanoseconds }
    }

    /// Where the engine keeps its containers, as it said itself; nil while it has not.
    var engineDataFolder: String? { dataFolder.withLock { $0 } }

    /// The engine said where it keeps its containers.
    func setEngineDataFolder(_ folder: String) { dataFolder.withLock { $0 = folder } }

    /// Merges again where time alone changes the outcome.
    func refresh(atNanoseconds now: Int64) { change(now) { _ in } }

    private func change(_ now: Int64, _ body: (inout ContainerViews) -> Void) {
        let difference = state.withLock { views in
            body(&views)
            return views.merge(now)
        }
        guard !difference.isEmpty else { return }
        for listener in listeners.withLock({ $0 }) { listener(difference) }
    }
}

/// A cgroup that holds a container's processes.
struct ContainerGroup: Sendable, Equatable {
    /// The path from the root of its hierarchy.
    var path: String
    var facts: ContainerPath
    /// What its runtime's own files say; nil where nobody looked.
    var container: Container?

    /// The group at `path`.
    init(path: String, facts: ContainerPath) {
        self.path = path
        self.facts = facts
    }

    /// The number of the user in whose slice it is; nil for root's.
    var userIdentifier: String? {
        for part in path.split(separator: "/") where part.hasPrefix("user@") && part.hasSuffix(".service") {
            return String(part.dropFirst("user@".count).dropLast(".service".count))
        }
        return nil
    }
}

/// What one look at the host changed.
struct ContainerDifference: Sendable {
    var appeared: [Container] = []
    var changed: [(before: Container, after: Container)] = []
    var vanished: [Container] = []

    /// Whether nothing changed.
    var isEmpty: Bool { appeared.isEmpty && changed.isEmpty && vanished.isEmpty }
}

/// The four views and how they become one. Pure: time is an argument.
struct ContainerViews: Sendable {
    var engine = EngineView()
    var files: [String: Container] = [:]
    var groups: [String: ContainerGroup] = [:]
    /// What Kubernetes says of pods; of those it has forgotten, what it said last while anything of them is here.
    private(set) var pods: [String: PodIdentity] = [:]
    var expectsPods = false
    /// When the engine answered last, monotonic; nil for never.
    var engineAnswered: Int64?
    /// Lives that are over, by the start that began them.
    var ended: [String: Int64] = [:]
    private(set) var merged = ContainerRegistry.Snapshot()
    /// When a group was first seen that no other view knows, monotonic.
    private var strangers: [String: Int64] = [:]

    /// An engine that was silent for longer is asked by its files and judged by the kernel.
    static let engineSilenceNanoseconds: Int64 = 15_000_000_000
    /// How long a group waits for its name, so that its series do not begin with the wrong one.
    static let strangerNanoseconds: Int64 = 3_000_000_000

    /// Whether the engine answered lately.
    func isEngineAnswering(_ now: Int64) -> Bool {
        engineAnswered.map { now - $0 < Self.engineSilenceNanoseconds } ?? false
    }

    /// Builds the merged view anew and returns what it changed.
    mutating func merge(_ now: Int64) -> ContainerDifference {
        let next = containers(now)
        var difference = ContainerDifference()
        for (id, container) in next {
            guard let known = merged.containers[id] else {
                difference.appeared.append(container)
                continue
            }
            if known != container { difference.changed.append((known, container)) }
        }
        difference.vanished = merged.containers.values.filter { next[$0.id] == nil }
        if !difference.isEmpty {
            merged.containers = next
            merged.generation += 1
        }
        return difference
    }

    /// Kubernetes has these pods and no others.
    mutating func take(pods told: [String: PodIdentity]) {
        let here = Set(merged.containers.values.compactMap(\.podUID) + groups.values.compactMap(\.facts.pod))
        pods = pods.filter { here.contains($0.key) }.merging(told) { _, new in new }
    }

    private mutating func containers(_ now: Int64) -> [String: Container] {
        let isAnswering = isEngineAnswering(now)
        var next: [String: Container] = [:]
        for container in engine.isEmpty ? Array(files.values) : engine.containers { next[container.id] = container }
        strangers = strangers.filter { groups[$0.key] != nil && next[$0.key] == nil }
        for (id, group) in groups where next[id] == nil {
            let isDocker = group.facts.runtime == .docker
            let isAwaited = expectsPods && group.facts.pod.map { pods[$0] == nil } ?? false
            if let file = files[id] {
                next[id] = file
                continue
            }
            let since = strangers[id] ?? now
            strangers[id] = since
            if isDocker || isAwaited, now - since < Self.strangerNanoseconds { continue }
            next[id] = group.container ?? Container(id: id)
        }
        for id in next.keys {
            next[id]?.cgroup = groups[id]?.path ?? merged.containers[id]?.cgroup
            let podUID = groups[id]?.facts.pod ?? merged.containers[id]?.podUID
            next[id]?.podUID = podUID
            if let podUID, let pod = pods[podUID], var container = next[id] {
                pod.complete(&container)
                next[id] = container
            }
            // The kernel knows better than an engine that hangs; without any cgroup in sight the engine's word stands.
            if !isAnswering || engine[id] == nil { next[id]?.isRunning = groups[id] != nil }
            if let started = next[id]?.startedNanoseconds, ended[id] == started { next[id]?.isRunning = false }
        }
        ended = ended.filter { next[$0.key] != nil }
        return next
    }
}
