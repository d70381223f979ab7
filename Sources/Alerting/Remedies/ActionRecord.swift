internal import Telemetry

/// One action from its proposal to its end. What the journal keeps: everything needed to go on after a crash without
/// doing anything twice.
struct ActionRecord: Hashable, Sendable {
    /// Where it stands.
    enum State: String, Sendable, CaseIterable {
        /// A guard-rail forbids it for now; it is asked again as long as the alert fires.
        case blocked
        /// Would have been done, and was not: mode `shadow`. An end.
        case shadowed
        /// Waits for a person.
        case awaitingApproval = "awaiting_approval"
        /// Decided; the evidence is being frozen.
        case freezing
        /// The agent may fetch the command.
        case commanded
        /// The agent has begun.
        case started
        /// Done; the alert's expression is watched.
        case verifying
        /// The expression no longer matches. An end.
        case verified
        /// The expression still matches, or its telemetry did not come back. An end.
        case notVerified = "not_verified"
        /// The agent tried and could not. An end.
        case failed
        /// The agent's allow-list or limits forbade it. An end.
        case refused
        /// The agent did not fetch or finish it in time. An end.
        case timedOut = "timed_out"
        /// No longer wanted before it began: the alert resolved, nobody approved, the remedy went away. An end.
        case cancelled

        /// Whether nothing more will happen.
        var isEnd: Bool {
            switch self {
            case .shadowed, .verified, .notVerified, .failed, .refused, .timedOut, .cancelled: true
            case .blocked, .awaitingApproval, .freezing, .commanded, .started, .verifying: false
            }
        }

        /// Whether the agent has or may have acted, which is what budgets and cooldowns count.
        var countsAsDone: Bool {
            switch self {
            case .commanded, .started, .verifying, .verified, .notVerified, .failed, .timedOut: true
            case .blocked, .shadowed, .awaitingApproval, .freezing, .refused, .cancelled: false
            }
        }
    }

    /// One change of state.
    struct Step: Hashable, Sendable {
        var at: Int64
        var state: State
        var text: String
    }

    /// `INSTALLATION-NUMBER`.
    var id: String
    var remedy: String
    var rung: Int
    var action: String
    var arguments: [String: String]
    var target: String
    var node: String
    var service: String
    var mode: String
    var alert: AlertKey
    /// Which firing of the alert it belongs to.
    var alertFiredAt: Int64
    var state: State
    var reason: String
    var createdAt: Int64
    /// When the command may have gone out; nil before.
    var commandedAt: Int64?
    /// Not to be started after this time.
    var expiresAt: Int64?
    var evidencePath: String
    var evidenceHash: String
    var approvedBy: String
    /// When the agent said it was done.
    var doneAt: Int64?
    /// Since when the expression does not match; nil while it does.
    var quietSince: Int64?
    /// The record of the audit log that must be durable before the agent may have the command.
    var auditSequence: UInt64
    var history: [Step]

    /// The id the agent knows it by; the same after any crash.
    var commandID: String { id }
}

extension ActionRecord {
    /// Writes all fields.
    func write(to writer: inout JournalWriter) {
        writer.put(id)
        writer.put(remedy)
        writer.put(UInt64(rung))
        writer.put(action)
        writer.put(arguments)
        writer.put(target)
        writer.put(node)
        writer.put(service)
        writer.put(mode)
        writer.put(alert.rule)
        writer.put(alert.labels)
        writer.put(alertFiredAt)
        writer.put(state.rawValue)
        writer.put(reason)
        writer.put(createdAt)
        writer.put(commandedAt)
        writer.put(expiresAt)
        writer.put(evidencePath)
        writer.put(evidenceHash)
        writer.put(approvedBy)
        writer.put(doneAt)
        writer.put(quietSince)
        writer.put(auditSequence)
        writer.put(history) { writer, step in
            writer.put(step.at)
            writer.put(step.state.rawValue)
            writer.put(step.text)
        }
    }

    /// Reads all fields.
    init(from reader: inout JournalReader) throws(ByteError) {
        id = try reader.text()
        remedy = try reader.text()
        rung = Int(truncatingIfNeeded: try reader.unsigned())
        action = try reader.text()
        arguments = try reader.map()
        target = try reader.text()
        node = try reader.text()
        service = try reader.text()
        mode = try reader.text()
        alert = AlertKey(rule: try reader.text(), labels: try reader.labels())
        alertFiredAt = try reader.signed()
        state = try reader.choice()
        reason = try reader.text()
        createdAt = try reader.signed()
        commandedAt = try reader.optionalSigned()
        expiresAt = try reader.optionalSigned()
        evidencePath = try reader.text()
        evidenceHash = try reader.text()
        approvedBy = try reader.text()
        doneAt = try reader.optionalSigned()
        quietSince = try reader.optionalSigned()
        auditSequence = try reader.unsigned()
        history = try reader.list { (reader) throws(ByteError) in
            Step(at: try reader.signed(), state: try reader.choice(), text: try reader.text())
        }
    }
}

/// What a person set for a remedy, and where it has given up.
struct RemedyControl: Hashable, Sendable {
    /// A target that is left alone.
    struct Suspension: Hashable, Sendable {
        var target: String
        var reason: String
        var at: Int64
    }

    var remedy: String
    /// Who paused it; empty when it is not paused.
    var pausedBy = ""
    var suspensions: [Suspension] = []

    var isPaused: Bool { !pausedBy.isEmpty }

    /// Writes all fields.
    func write(to writer: inout JournalWriter) {
        writer.put(remedy)
        writer.put(pausedBy)
        writer.put(suspensions) { writer, suspension in
            writer.put(suspension.target)
            writer.put(suspension.reason)
            writer.put(suspension.at)
        }
    }

    /// Reads all fields.
    init(from reader: inout JournalReader) throws(ByteError) {
        remedy = try reader.text()
        pausedBy = try reader.text()
        suspensions = try reader.list { (reader) throws(ByteError) in
            Suspension(target: try reader.text(), reason: try reader.text(), at: try reader.signed())
        }
    }

    /// Neither paused nor suspended.
    init(remedy: String) {
        self.remedy = remedy
    }
}
