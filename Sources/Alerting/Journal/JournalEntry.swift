internal import Telemetry

/// One change of the alerting state. Entries carry whole values, so that applying one twice
/// changes nothing, and a snapshot is nothing but the entries that rebuild the state.
enum JournalEntry: Hashable, Sendable {
    /// The identity of this installation, from which keys and ids are made. The first entry ever.
    case installation(String)
    case alert(AlertInstance)
    case alertForgotten(AlertKey)
    /// What a group's receiver was told last.
    case groupTold(GroupMemory)
    case groupForgotten(GroupMemory.Key)
    /// A message that will be sent, written before the first attempt.
    case intent(OutboxMessage)
    /// What came of an attempt, or of giving up.
    case attempt(OutboxAttempt)
    case silence(Silence)
    case silenceForgotten(String)
    case action(ActionRecord)
    case actionForgotten(String)
    case remedyControl(RemedyControl)
    /// A record for the audit log that is not yet known to be in it.
    case auditPending(PendingAudit)
    /// The audit log is durable up to here.
    case auditHead(AuditHead)
    /// An event for the log store that is not yet known to be in it.
    case eventPending(PendingEvent)
    case eventsStored(through: UInt64)
    /// The process was alive at this time, while alerts were pending.
    case mark(Int64)
    /// Numbers for keys, ids and sequences below this one are used up.
    case counters(StateCounters)
    case snapshotBegin
    /// How many entries stand between begin and end.
    case snapshotEnd(UInt64)

    /// The number the entry has in a batch.
    var kind: UInt8 {
        switch self {
        case .installation: 1
        case .alert: 2
        case .alertForgotten: 3
        case .groupTold: 4
        case .groupForgotten: 5
        case .intent: 6
        case .attempt: 7
        case .silence: 8
        case .silenceForgotten: 9
        case .action: 10
        case .actionForgotten: 11
        case .remedyControl: 12
        case .auditPending: 13
        case .auditHead: 14
        case .eventPending: 15
        case .eventsStored: 16
        case .mark: 17
        case .counters: 18
        case .snapshotBegin: 30
        case .snapshotEnd: 31
        }
    }

    /// The fields of the entry.
    var payload: [UInt8] {
        var writer = JournalWriter()
        switch self {
        case .installation(let text), .silenceForgotten(let text), .actionForgotten(let text): writer.put(text)
        case .alert(let instance): instance.write(to: &writer)
        case .alertForgotten(let key):
            writer.put(key.rule)
            writer.put(key.labels)
        case .groupTold(let memory): memory.write(to: &writer)
        case .groupForgotten(let key): key.write(to: &writer)
        case .intent(let message): message.write(to: &writer)
        case .attempt(let attempt): attempt.write(to: &writer)
        case .silence(let silence): silence.write(to: &writer)
        case .action(let action): action.write(to: &writer)
        case .remedyControl(let control): control.write(to: &writer)
        case .auditPending(let entry): entry.write(to: &writer)
        case .auditHead(let head):
            writer.put(head.sequence)
            writer.put(head.hash)
        case .eventPending(let event): event.write(to: &writer)
        case .eventsStored(let number), .snapshotEnd(let number): writer.put(number)
        case .mark(let time): writer.put(time)
        case .counters(let counters): counters.write(to: &writer)
        case .snapshotBegin: break
        }
        return writer.bytes
    }

    /// Reads an entry. Throws where it is cut short or holds what this version does not know.
    static func read(kind: UInt8, _ payload: UnsafeRawBufferPointer) throws(ByteError) -> JournalEntry {
        var reader = JournalReader(payload)
        switch kind {
        case 1: return .installation(try reader.text())
        case 2: return .alert(try AlertInstance(from: &reader))
        case 3: return .alertForgotten(AlertKey(rule: try reader.text(), labels: try reader.labels()))
        case 4: return .groupTold(try GroupMemory(from: &reader))
        case 5: return .groupForgotten(try GroupMemory.Key(from: &reader))
        case 6: return .intent(try OutboxMessage(from: &reader))
        case 7: return .attempt(try OutboxAttempt(from: &reader))
        case 8: return .silence(try Silence(from: &reader))
        case 9: return .silenceForgotten(try reader.text())
        case 10: return .action(try ActionRecord(from: &reader))
        case 11: return .actionForgotten(try reader.text())
        case 12: return .remedyControl(try RemedyControl(from: &reader))
        case 13: return .auditPending(try PendingAudit(from: &reader))
        case 14: return .auditHead(AuditHead(sequence: try reader.unsigned(), hash: try reader.text()))
        case 15: return .eventPending(try PendingEvent(from: &reader))
        case 16: return .eventsStored(through: try reader.unsigned())
        case 17: return .mark(try reader.signed())
        case 18: return .counters(try StateCounters(from: &reader))
        case 30: return .snapshotBegin
        case 31: return .snapshotEnd(try reader.unsigned())
        default: throw ByteError(offset: 0, reason: "kind \(kind) is not known")
        }
    }
}

/// Numbers that are given out once and never again.
struct StateCounters: Hashable, Sendable {
    /// For idempotency keys, silences and actions.
    var identifier: UInt64 = 1
    /// For records of the audit log.
    var audit: UInt64 = 1
    /// For events.
    var event: UInt64 = 1

    /// Writes all fields.
    func write(to writer: inout JournalWriter) {
        writer.put(identifier)
        writer.put(audit)
        writer.put(event)
    }

    /// Reads all fields.
    init(from reader: inout JournalReader) throws(ByteError) {
        identifier = try reader.unsigned()
        audit = try reader.unsigned()
        event = try reader.unsigned()
    }

    /// Nothing given out yet.
    init() {}
}

extension AlertInstance {
    /// Writes all fields.
    func write(to writer: inout JournalWriter) {
        writer.put(rule)
        writer.put(labels)
        writer.put(seriesLabels)
        writer.put(annotations)
        writer.put(state.rawValue)
        writer.put(activeAt)
        writer.put(firedAt)
        writer.put(resolvedAt)
        writer.put(resolveReason?.rawValue ?? "")
        writer.put(keepFiringSince)
        writer.put(lastMatchAt)
        writer.put(value)
        writer.put(noDataSince)
        writer.put(isUrgent)
    }

    /// Reads all fields.
    init(from reader: inout JournalReader) throws(ByteError) {
        rule = try reader.text()
        labels = try reader.labels()
        seriesLabels = try reader.labels()
        annotations = try reader.map()
        let rawState = try reader.byte()
        guard let state = AlertState(rawValue: rawState) else {
            throw ByteError(offset: 0, reason: "\(rawState) is no state of an alert")
        }
        self.state = state
        activeAt = try reader.signed()
        firedAt = try reader.optionalSigned()
        resolvedAt = try reader.optionalSigned()
        resolveReason = ResolveReason(rawValue: try reader.text())
        keepFiringSince = try reader.optionalSigned()
        lastMatchAt = try reader.signed()
        value = try reader.double()
        noDataSince = try reader.optionalSigned()
        isUrgent = try reader.flag()
    }
}
