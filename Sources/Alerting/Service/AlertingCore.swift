internal import Telemetry

/// Decides: takes in evaluations, verdicts, reports, requests and the time, and answers with journal entries. Pure and
/// without I/O; the service performs what it decides, after the entries are durable.
struct AlertingCore: Sendable {
    /// Downtime up to this counts towards `for`: a series could not be noticed gone in it either.
    static let outageToleranceMilliseconds: Int64 = 300_000
    /// How often the process marks that it lives while alerts are pending.
    static let markIntervalMilliseconds: Int64 = 30_000

    private(set) var state: AlertingState
    private(set) var configuration: AlertingConfiguration
    /// Decided and applied, not yet handed to the journal.
    private var entries: [JournalEntry] = []
    var groups: NotificationGroups
    /// How many entries about a message or an action the journal has not confirmed.
    private var undurable: [String: Int] = [:]
    /// Records for the audit log and events up to these numbers are durable in the journal.
    private(set) var durableAudit: UInt64
    private(set) var durableEvent: UInt64
    /// Messages that are under way.
    var inFlight: Set<String> = []
    var buckets: [String: TokenBucket] = [:]
    var outages = ReceiverOutages()
    /// What the operator is to be told of deliveries, until it is taken.
    var notices: [String] = []
    /// When the guard-rails were last asked for an action.
    var decidedAt: [String: Int64] = [:]
    /// Actions whose agent may fetch a command.
    private(set) var commanded: Set<String> = []
    /// Targets that the host said were removed, and when.
    var removedTargets: [String: Int64] = [:]

    /// A core over the state a journal gave. `installation` is used when the journal has none yet.
    init(state: AlertingState, configuration: AlertingConfiguration, installation: String, now: Int64) {
        self.state = state
        self.configuration = configuration
        groups = NotificationGroups(root: nil)
        durableAudit = state.counters.audit - 1
        durableEvent = state.counters.event - 1
        commanded = Set(state.actions.values.lazy.filter { $0.state == .commanded }.map(\.id))
        if state.installation.isEmpty { record(.installation(installation)) }
        shiftPending(now)
        adopt(configuration, now: now)
    }

    // MARK: Entries

    /// Applies an entry and keeps it for the journal.
    mutating func record(_ entry: JournalEntry) {
        state.apply(entry)
        entries.append(entry)
        if let id = AlertingCore.subject(of: entry) { undurable[id, default: 0] += 1 }
        switch entry {
        case .action(let action) where action.state == .commanded: commanded.insert(action.id)
        case .action(let action): commanded.remove(action.id)
        case .actionForgotten(let id): commanded.remove(id)
        default: break
        }
    }

    /// Takes in what an alert shows now, without an entry.
    mutating func refresh(_ instance: AlertInstance) { state.refresh(instance) }

    /// The entries since the last call, in order.
    mutating func takeEntries() -> [JournalEntry] {
        defer { entries.removeAll(keepingCapacity: true) }
        return entries
    }

    /// What the operator is to be told since the last call.
    mutating func takeNotices() -> [String] {
        defer { notices = [] }
        return notices
    }

    /// The journal has confirmed these entries.
    mutating func confirm(_ entries: [JournalEntry]) {
        for entry in entries {
            if let id = AlertingCore.subject(of: entry), let count = undurable[id] {
                undurable[id] = count > 1 ? count - 1 : nil
            }
            if case .auditPending(let pending) = entry { durableAudit = max(durableAudit, pending.sequence) }
            if case .eventPending(let event) = entry { durableEvent = max(durableEvent, event.sequence) }
        }
    }

    /// Whether everything decided about a message or an action is durable.
    func isDurable(_ id: String) -> Bool { undurable[id] == nil }

    private static func subject(of entry: JournalEntry) -> String? {
        switch entry {
        case .intent(let message): message.idempotencyKey
        case .action(let action): action.id
        default: nil
        }
    }

    /// An id that was never given out before and will not be again.
    mutating func nextIdentifier() -> String {
        let number = state.counters.identifier
        var counters = state.counters
        counters.identifier += 1
        record(.counters(counters))
        return "\(state.installation)-\(number)"
    }

    /// Records that may wait for an audit log that takes none, before nothing new is begun.
    static let pendingAuditMaximum = 5_000

    /// Why nothing new is begun: what was done already has to find its place in the audit log first. Nil when all is
    /// well.
    var auditBacklog: String? {
        guard state.pendingAudit.count >= AlertingCore.pendingAuditMaximum else { return nil }
        return "\(state.pendingAudit.count) records wait for an audit log that takes none; free its disk, see the log"
    }

    /// Adds a record for the audit log; returns its place there.
    @discardableResult
    mutating func audit(_ kind: String, _ fields: [String: String], now: Int64) -> UInt64 {
        let sequence = state.counters.audit
        let entry = AuditEntry(kind: kind, nanoseconds: now * 1_000_000, fields: Labels(fields))
        record(.auditPending(PendingAudit(sequence: sequence, entry: entry)))
        return sequence
    }

    /// Adds an event for the log store.
    mutating func event(
        _ kind: HostEvent.Kind, subject: Labels, details: [String: String], text: String, now: Int64
    ) {
        // Beyond this the log store has been away for long; the audit log and the journal still know.
        guard state.pendingEvents.count < 10_000 else { return }
        let event = HostEvent(
            kind, nanoseconds: now * 1_000_000 + Int64(state.counters.event % 1_000_000), source: "alerting",
            subject: subject, details: Labels(details), text: text)
        record(.eventPending(PendingEvent(sequence: state.counters.event, event: event)))
    }

    // MARK: Configuration

    /// Takes over a configuration: alerts keep their state by the identity of their rule, groups keep their rhythm.
    mutating func adopt(_ configuration: AlertingConfiguration, now: Int64) {
        self.configuration = configuration
        let rules = Set(configuration.groups.flatMap { $0.rules.map(\.identity) })
        for instance in sortedAlerts where instance.state != .inactive && !rules.contains(instance.rule) {
            if configuration.mayHold(rule: instance.rule) { continue }
            settle(AlertStateMachine.resolved(instance, .ruleRemoved, at: now), now: now)
        }
        groups = NotificationGroups(
            root: configuration.notify.route, alerts: state.alerts.values, memories: state.memories, now: now)
        let remedies = Dictionary(configuration.remedies.map { ($0.name, $0) }) { first, _ in first }
        for action in state.actions.values where !action.state.isEnd {
            let remedy = remedies[action.remedy]
            if remedy == nil || remedy?.mode == .off {
                advance(action, .withdrawn(reason: "the remedy was removed or turned off"), remedy, now: now)
            }
        }
        for delivery in state.deliveries.values where delivery.isOpen && receiver(of: delivery.message.lane) == nil {
            close(delivery, .expired, "its receiver is not configured any more", now: now)
        }
    }

    /// The integration a lane leads to; nil when the configuration has it no longer.
    func receiver(of lane: OutboxLane) -> (any Receiver)? {
        configuration.notify.receivers[lane.receiver]?.first { $0.integration == lane.integration }
    }

    func rule(_ identity: String) -> (group: RuleGroup, rule: Rule)? {
        for group in configuration.groups {
            if let rule = group.rules.first(where: { $0.identity == identity }) { return (group, rule) }
        }
        return nil
    }

    var sortedAlerts: [AlertInstance] {
        state.alerts.values.sorted { ($0.rule, $0.labels) < ($1.rule, $1.labels) }
    }

    /// Moves the clocks of pending alerts by a long downtime, in which nobody looked.
    private mutating func shiftPending(_ now: Int64) {
        guard let mark = state.mark, now - mark > AlertingCore.outageToleranceMilliseconds else { return }
        for var instance in sortedAlerts where instance.state == .pending {
            instance.activeAt += now - mark
            record(.alert(instance))
        }
        record(.mark(now))
    }

    /// Marks that the process lives, while alerts are pending.
    mutating func keepMark(now: Int64) {
        guard state.alerts.values.contains(where: { $0.state == .pending }) else { return }
        if let mark = state.mark, abs(now - mark) < AlertingCore.markIntervalMilliseconds { return }
        record(.mark(now))
    }
}
