internal import Telemetry

/// A message that must arrive: written to the journal before the first attempt, kept until it was taken or given up.
/// Key and bytes never change, so that a service which keeps keys sees each message once, whatever crashes in between.
struct OutboxMessage: Hashable, Sendable {
    /// The same for every attempt: `INSTALLATION-NUMBER`.
    var idempotencyKey: String
    var lane: OutboxLane
    /// `firing` or `resolved`.
    var status: String
    var reason: String
    var createdAt: Int64
    /// Given up after this time.
    var deadline: Int64
    var contentType: String
    /// Empty once the message is done with: only its history is kept.
    var body: [UInt8]
    /// The labels of the alerts it tells about.
    var alerts: [Labels]

    /// Writes all fields.
    func write(to writer: inout JournalWriter) {
        writer.put(idempotencyKey)
        lane.write(to: &writer)
        writer.put(status)
        writer.put(reason)
        writer.put(createdAt)
        writer.put(deadline)
        writer.put(contentType)
        writer.put(body)
        writer.put(alerts) { $0.put($1) }
    }

    /// Reads all fields.
    init(from reader: inout JournalReader) throws(ByteError) {
        idempotencyKey = try reader.text()
        lane = try OutboxLane(from: &reader)
        status = try reader.text()
        reason = try reader.text()
        createdAt = try reader.signed()
        deadline = try reader.signed()
        contentType = try reader.text()
        body = try reader.bytes()
        alerts = try reader.list { (reader) throws(ByteError) in try reader.labels() }
    }

    /// A message.
    init(
        idempotencyKey: String, lane: OutboxLane, status: String, reason: String, createdAt: Int64, deadline: Int64,
        content: MessageContent, alerts: [Labels]
    ) {
        self.idempotencyKey = idempotencyKey
        self.lane = lane
        self.status = status
        self.reason = reason
        self.createdAt = createdAt
        self.deadline = deadline
        contentType = content.contentType
        body = content.body
        self.alerts = alerts
    }
}

/// Messages of one group to one integration go one after the other, so that "resolved" never overtakes "firing".
struct OutboxLane: Hashable, Sendable {
    var groupKey: String
    var receiver: String
    /// For example `webhook[0]`.
    var integration: String

    /// Which integration of which receiver it leads to, for people: `chat/webhook[0]`.
    var name: String { "\(receiver)/\(integration)" }

    /// Writes all fields.
    func write(to writer: inout JournalWriter) {
        writer.put(groupKey)
        writer.put(receiver)
        writer.put(integration)
    }

    /// Reads all fields.
    init(from reader: inout JournalReader) throws(ByteError) {
        groupKey = try reader.text()
        receiver = try reader.text()
        integration = try reader.text()
    }

    /// A lane.
    init(groupKey: String, receiver: String, integration: String) {
        self.groupKey = groupKey
        self.receiver = receiver
        self.integration = integration
    }
}

/// One attempt to deliver a message, or the end of its life.
struct OutboxAttempt: Hashable, Sendable {
    /// What came of it.
    enum Outcome: String, Sendable {
        case accepted
        case retry
        /// Refused for good.
        case refused
        /// A newer message of its lane took its place.
        case superseded
        /// Too old to be worth telling.
        case expired
    }

    var idempotencyKey: String
    var at: Int64
    var outcome: Outcome
    /// What the provider said.
    var detail: String
    /// When to try again, for `retry`.
    var nextAt: Int64?

    /// Writes all fields.
    func write(to writer: inout JournalWriter) {
        writer.put(idempotencyKey)
        writer.put(at)
        writer.put(outcome.rawValue)
        writer.put(detail)
        writer.put(nextAt)
    }

    /// Reads all fields.
    init(from reader: inout JournalReader) throws(ByteError) {
        idempotencyKey = try reader.text()
        at = try reader.signed()
        outcome = try reader.choice()
        detail = try reader.text()
        nextAt = try reader.optionalSigned()
    }

    /// An attempt.
    init(idempotencyKey: String, at: Int64, outcome: Outcome, detail: String, nextAt: Int64? = nil) {
        self.idempotencyKey = idempotencyKey
        self.at = at
        self.outcome = outcome
        self.detail = detail
        self.nextAt = nextAt
    }
}
