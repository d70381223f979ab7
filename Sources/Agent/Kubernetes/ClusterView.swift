internal import Synchronization

/// What Kubernetes says of this node: its pods, by the API server's word as long as that is fresh, else by the
/// kubelet's; and the node itself, of which only the API server knows.
final class ClusterView: Sendable {
    /// What is known at one moment.
    struct Snapshot: Sendable {
        /// Rises with each change.
        var generation: UInt64 = 0
        /// By uid; nil while nobody has said anything, or nobody says it any more.
        var pods: [String: PodDescription]?
        var node: NodeDescription?
    }

    /// One source's word on the pods.
    private struct Word: Sendable {
        var pods: [String: PodDescription]?
        /// When the source was heard last, monotonic.
        var heard: Int64 = .min
    }

    private struct State: Sendable {
        var api = Word()
        var kubelet = Word()
        var node: NodeDescription?
        var nodeHeard: Int64 = .min
        var shown = Snapshot()
        var isFromKubelet = false
    }

    private let state = Mutex(State())
    private let clock: @Sendable () -> Int64
    private let listener = Mutex<@Sendable () -> Void>({})

    /// A source that was silent for so long is not believed where another one speaks.
    static let freshNanoseconds: Int64 = 180_000_000_000
    /// What nobody has confirmed for so long is not shown.
    static let shownNanoseconds: Int64 = 600_000_000_000

    /// Nothing said; `clock` is monotonic.
    init(clock: @escaping @Sendable () -> Int64) {
        self.clock = clock
    }

    /// Calls `body` after each change of the pods, on the task that changed them.
    func onPods(_ body: @escaping @Sendable () -> Void) { listener.withLock { $0 = body } }

    /// The pods as they were told last.
    var pods: [String: PodDescription] { state.withLock { $0.shown.pods ?? [:] } }

    /// The API server told its pods, or (nil) that it is there.
    func setAPI(_ pods: [String: PodDescription]?) {
        change { state, now in
            if let pods { state.api.pods = pods }
            state.api.heard = now
        }
    }

    /// The API server told of the node, or (nil) that it is there.
    func setNode(_ nodes: [String: NodeDescription]?) {
        change { state, now in
            if let nodes { state.node = nodes.values.first }
            state.nodeHeard = now
        }
    }

    /// The kubelet told its pods.
    func setKubelet(_ pods: [String: PodDescription]) {
        change { state, now in
            state.kubelet.pods = pods
            state.kubelet.heard = now
        }
    }

    /// Whether the API server's word on the pods is fresh, so that the kubelet need not be asked.
    var isAPIFresh: Bool {
        let now = clock()
        return state.withLock { $0.api.pods != nil && Self.isWithin(Self.freshNanoseconds, $0.api.heard, now) }
    }

    /// What is known now.
    var snapshot: Snapshot {
        change { _, _ in }
        return state.withLock { $0.shown }
    }

    /// For people: who speaks.
    var summary: String {
        let now = clock()
        return state.withLock { state in
            guard let pods = state.shown.pods else { return "nobody answers: pods are known by their paths" }
            let who = state.isFromKubelet ? "the kubelet answers, the API server does not" : "the API server answers"
            let heard = state.isFromKubelet ? state.kubelet.heard : state.api.heard
            let age = Self.isWithin(Self.freshNanoseconds, heard, now) ? "" : "; it was heard minutes ago"
            return "\(who): \(pods.count) pods\(age)"
        }
    }

    private static func isWithin(_ span: Int64, _ heard: Int64, _ now: Int64) -> Bool {
        heard != .min && now - heard < span
    }

    private func change(_ body: (inout State, Int64) -> Void) {
        let now = clock()
        let isOfPods = state.withLock { state in
            body(&state, now)
            let isFresh = Self.isWithin(Self.freshNanoseconds, state.api.heard, now)
            state.isFromKubelet =
                state.api.pods == nil
                || (!isFresh && state.kubelet.pods != nil && state.kubelet.heard > state.api.heard)
            let word = state.isFromKubelet ? state.kubelet : state.api
            let pods = Self.isWithin(Self.shownNanoseconds, word.heard, now) ? word.pods : nil
            let node = Self.isWithin(Self.shownNanoseconds, state.nodeHeard, now) ? state.node : nil
            guard pods != state.shown.pods || node != state.shown.node else { return false }
            let isOfPods = pods != state.shown.pods
            state.shown.pods = pods
            state.shown.node = node
            state.shown.generation += 1
            return isOfPods
        }
        if isOfPods { listener.withLock { $0 }() }
    }
}
