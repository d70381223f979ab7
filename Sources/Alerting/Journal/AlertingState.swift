internal import Telemetry

/// Everything alerting must not forget. Changed only by applying journal entries, so that reading the journal again
/// gives the same state; applying an entry twice changes nothing.
struct AlertingState: Sendable {
    /// Messages and actions that are done with and still listed.
    static let historyMaximum = 1000

    private(set) var installation = ""
    private(set) var counters = StateCounters()
    private(set) var alerts: [AlertKey: AlertInstance] = [:]
    private(set) var memories: [GroupMemory.Key: GroupMemory] = [:]
    /// Messages by key, in the order they were made.
    private(set) var deliveries = OrderedRecords<Delivery>()
    private(set) var silences: [String: Silence] = [:]
    private(set) var actions = OrderedRecords<ActionRecord>()
    private(set) var controls: [String: RemedyControl] = [:]
    /// Ordered by sequence.
    private(set) var pendingAudit: [PendingAudit] = []
    private(set) var auditHead = AuditHead.empty
    /// Ordered by sequence.
    private(set) var pendingEvents: [PendingEvent] = []
    private(set) var eventsStored: UInt64 = 0
    /// When the process was last known to be alive while alerts were pending.
    private(set) var mark: Int64?

    /// Takes in one entry.
    mutating func apply(_ entry: JournalEntry) {
        switch entry {
        case .installation(let text): installation = text
        case .alert(let instance): alerts[instance.key] = instance
        case .alertForgotten(let key): alerts[key] = nil
        case .groupTold(let memory): memories[memory.key] = memory
        case .groupForgotten(let key): memories[key] = nil
        case .intent(let message):
            noteIdentifier(message.idempotencyKey)
            if deliveries[message.idempotencyKey] == nil {
                deliveries.set(message.idempotencyKey, Delivery(message))
                deliveries.trim(to: AlertingState.historyMaximum) { !$0.isOpen }
            }
        case .attempt(let attempt): deliveries.update(attempt.idempotencyKey) { $0.apply(attempt) }
        case .silence(let silence):
            noteIdentifier(silence.id)
            silences[silence.id] = silence
        case .silenceForgotten(let id): silences[id] = nil
        case .action(let action):
            noteIdentifier(action.id)
            actions.set(action.id, action)
            actions.trim(to: AlertingState.historyMaximum) { $0.state.isEnd }
        case .actionForgotten(let id): actions.remove(id)
        case .remedyControl(let control): controls[control.remedy] = control
        case .auditPending(let pending):
            counters.audit = max(counters.audit, pending.sequence + 1)
            guard pending.sequence > auditHead.sequence, pending.sequence > pendingAudit.last?.sequence ?? 0 else {
                return
            }
            pendingAudit.append(pending)
        case .auditHead(let head):
            counters.audit = max(counters.audit, head.sequence + 1)
            auditHead = head
            pendingAudit.removeAll { $0.sequence <= head.sequence }
        case .eventPending(let event):
            counters.event = max(counters.event, event.sequence + 1)
            guard event.sequence > eventsStored, event.sequence > pendingEvents.last?.sequence ?? 0 else { return }
            pendingEvents.append(event)
        case .eventsStored(let sequence):
            eventsStored = max(eventsStored, sequence)
            pendingEvents.removeAll { $0.sequence <= sequence }
        case .mark(let time): mark = time
        case .counters(let used):
            counters.identifier = max(counters.identifier, used.identifier)
            counters.audit = max(counters.audit, used.audit)
            counters.event = max(counters.event, used.event)
        case .snapshotBegin, .snapshotEnd: break
        }
    }

    /// Takes in a newer value and newer texts of an alert that is in no other state than before. Not kept: the next
    /// evaluation after a restart gives them anew.
    mutating func refresh(_ instance: AlertInstance) {
        guard alerts[instance.key] != nil else { return }
        alerts[instance.key] = instance
    }

    /// Entries that rebuild the state, between a begin and an end.
    var snapshot: [JournalEntry] {
        var entries: [JournalEntry] = [.snapshotBegin, .installation(installation), .counters(counters)]
        entries += alerts.values.sorted { ($0.rule, $0.labels) < ($1.rule, $1.labels) }.map { .alert($0) }
        entries += memories.values.map { .groupTold($0) }
        for delivery in deliveries.values {
            entries.append(.intent(delivery.message))
            entries += delivery.attempts.map { .attempt($0) }
        }
        entries += silences.values.sorted { $0.id < $1.id }.map { .silence($0) }
        entries += actions.values.map { .action($0) }
        entries += controls.values.sorted { $0.remedy < $1.remedy }.map { .remedyControl($0) }
        entries.append(.auditHead(auditHead))
        entries += pendingAudit.map { .auditPending($0) }
        entries.append(.eventsStored(through: eventsStored))
        entries += pendingEvents.map { .eventPending($0) }
        if let mark { entries.append(.mark(mark)) }
        entries.append(.snapshotEnd(UInt64(entries.count - 1)))
        return entries
    }

    /// Ids end in `-NUMBER`; the next one is above all that were seen.
    private mutating func noteIdentifier(_ id: String) {
        guard let dash = id.lastIndex(of: "-"), let number = UInt64(id[id.index(after: dash)...]) else { return }
        counters.identifier = max(counters.identifier, number + 1)
    }
}

/// Records by id, in the order they came, with the oldest finished ones dropped beyond a number.
struct OrderedRecords<Record: Sendable>: Sendable {
    private var records: [String: Record] = [:]
    private var order: [String] = []

    /// The record of that id.
    subscript(id: String) -> Record? { records[id] }

    /// All records in order.
    var values: [Record] { order.compactMap { records[$0] } }

    /// Adds a record or replaces it in its place.
    mutating func set(_ id: String, _ record: Record) {
        if records.updateValue(record, forKey: id) == nil { order.append(id) }
    }

    /// Changes a record that is there.
    mutating func update(_ id: String, _ change: (inout Record) -> Void) {
        guard var record = records[id] else { return }
        change(&record)
        records[id] = record
    }

    /// Drops a record.
    mutating func remove(_ id: String) {
        guard records.removeValue(forKey: id) != nil else { return }
        order.removeAll { $0 == id }
    }

    /// Drops the oldest finished records beyond `maximum`.
    mutating func trim(to maximum: Int, where isFinished: (Record) -> Bool) {
        guard order.count > maximum else { return }
        var excess = order.count - maximum
        order.removeAll { id in
            guard excess > 0, let record = records[id], isFinished(record) else { return false }
            excess -= 1
            records[id] = nil
            return true
        }
    }
}
