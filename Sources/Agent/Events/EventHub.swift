internal import Synchronization
internal import Telemetry

/// Where all sources report what they saw. The collection thread takes what is due, counts it and sends it.
final class EventHub: Sendable {
    private let correlator = Mutex(IncidentCorrelator())
    private let wallClock: any WallClock
    private let monotonicClock: any MonotonicClock
    /// Wakes the collection thread, so that it looks at the next deadline.
    private let wake: @Sendable () -> Void
    /// A container's last words matter now: the tailer reads them at once. True when it ended.
    private let lastWords: @Sendable (String, Bool) -> Void

    /// A hub that wakes its reader by `wake`.
    init(
        wallClock: any WallClock, monotonicClock: any MonotonicClock, wake: @escaping @Sendable () -> Void,
        lastWords: @escaping @Sendable (String, Bool) -> Void
    ) {
        self.wallClock = wallClock
        self.monotonicClock = monotonicClock
        self.wake = wake
        self.lastWords = lastWords
    }

    /// A source saw something of a container.
    /// `nanoseconds` is when it happened, where that is known and not now.
    func saw(
        _ sighting: IncidentCorrelator.Sighting, of container: String, by source: IncidentCorrelator.Source,
        atNanoseconds nanoseconds: Int64? = nil
    ) {
        let moment = IncidentCorrelator.Moment(
            wall: nanoseconds ?? wallClock.nowNanoseconds, monotonic: monotonicClock.nowNanoseconds)
        correlator.withLock { $0.saw(sighting, of: container, by: source, at: moment) }
        if case .exit = sighting { lastWords(container, true) } else { lastWords(container, false) }
        wake()
    }

    /// The kernel told the code of an end that was seen.
    func learned(exitCode code: Int, of container: String) {
        let now = monotonicClock.nowNanoseconds
        correlator.withLock { $0.learned(exitCode: code, of: container, atNanoseconds: now) }
    }

    /// The kernel's log told how large a victim was.
    func sawVictim(_ pid: Int32, anonymousKilobytes: Int64) {
        correlator.withLock { $0.sawVictim(pid, anonymousKilobytes: anonymousKilobytes) }
    }

    /// The engine told of an event.
    func saw(_ event: EngineEvent) {
        switch event.action {
        case "oom": saw(.killClaim, of: event.container, by: .engine)
        case "die": saw(.exit(code: event.exitCode), of: event.container, by: .engine)
        default: break
        }
    }

    /// When something is due next, monotonic.
    var nextDeadline: Int64? { correlator.withLock { $0.nextDeadline } }

    /// What is due now.
    func takeDue(atNanoseconds now: Int64) -> [IncidentCorrelator.Incident] {
        correlator.withLock { $0.takeDue(atNanoseconds: now) }
    }

    /// A container began another life: what was seen of the one before is due.
    func hasten(_ container: String) {
        let now = monotonicClock.nowNanoseconds
        correlator.withLock { $0.hasten(container, atNanoseconds: now) }
    }

    /// A container was removed.
    func forget(_ container: String) { correlator.withLock { $0.forget(container) } }
}

extension IncidentCorrelator.Incident {
    /// The event record of an incident.
    /// `usage` is what the life took that ended.
    func event(of container: Container, node: String, usage: [String: String] = [:]) -> HostEvent {
        var details = details.merging(usage) { own, _ in own }
        details["sources"] = sources.map(\.rawValue).joined(separator: ",")
        details["confirmed_by"] = sources.dropFirst().map(\.rawValue).joined(separator: ",")
        if count > 1 { details["count"] = String(count) }
        return HostEvent(
            kind, nanoseconds: nanoseconds, source: sources.first?.rawValue ?? "",
            subject: container.identity(node: node),
            details: Labels(details), text: text(container))
    }

    private func text(_ container: Container) -> String {
        let name = "\(container.noun) \(container.name)"
        guard kind == .oomKill else {
            let code = details["exit_code"].map { " with exit code \($0)" } ?? ""
            let cause = details["oom_killed"] == nil ? "" : " after an OOM kill"
            return "\(name) ended\(code)\(cause)"
        }
        let victim = details["victim"].map { ": \($0) (process \(details["pid"] ?? "?"))" } ?? ""
        let limit = details["constraint"] == "CONSTRAINT_NONE" ? "the host's memory" : "its memory limit"
        return "\(name) ran out of \(limit) and was OOM-killed\(victim)"
    }
}
