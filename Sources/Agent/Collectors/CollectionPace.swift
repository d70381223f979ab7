internal import Telemetry

/// How often metrics are read: at every interval, unless the agent takes more of its host than it may. Belongs to the
/// collection thread.
final class CollectionPace {
    /// Whose use of the host is measured.
    enum Scope: Sendable {
        /// The process is the agent.
        case process
        /// The agent shares its process with a server, whose memory and time are not the agent's.
        case thread
    }

    private let scope: Scope
    private let notices: Notices
    private let node: String
    private var ladder: DegradeLadder
    /// How often the step was raised.
    private(set) var degradations = 0

    /// A pace that keeps `limits`.
    init(_ limits: SelfLimits, scope: Scope, node: String, notices: Notices) {
        self.scope = scope
        self.notices = notices
        self.node = node
        var limits = limits
        if scope == .thread { limits.memoryBytes = 0 }
        ladder = DegradeLadder(limits)
    }

    /// Intervals between two readings now.
    var factor: Int { ladder.factor }

    /// The step: 0 for every interval.
    var step: Int { ladder.step }

    /// Looks at what the agent took; returns an event where the step changed.
    func judge(
        cpuSeconds: Double, memoryBytes: UInt64, intervalMilliseconds: Int64, clock: any WallClock,
        atNanoseconds now: Int64
    ) -> HostEvent? {
        let collection = AgentLimits.threadSeconds()
        let usage = DegradeLadder.Usage(
            cpuSeconds: scope == .process ? cpuSeconds : collection, collectionSeconds: collection,
            memoryBytes: memoryBytes)
        guard let change = ladder.judge(usage, atNanoseconds: now) else { return nil }
        if change.to > change.from { degradations += 1 }
        let interval = Durations.prometheus(milliseconds: intervalMilliseconds * Int64(factor))
        let text = "the agent reads metrics every \(interval) from now on: \(change.reason)"
        notices.say(change.to > change.from ? .warning : .information, about: "pace", text)
        return HostEvent(
            .pressure, nanoseconds: clock.nowNanoseconds, source: "agent", subject: Labels(["node": node]),
            details: Labels([
                "interval": interval, "step": String(change.to), "reason": change.reason, "subject": "agent",
            ]),
            text: text)
    }
}
