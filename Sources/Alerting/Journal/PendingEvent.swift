internal import Telemetry

/// An event that is to become a log entry of the stream `{source="vedette"}`, numbered so that a crash between journal
/// and log store neither loses nor doubles it (the log store knows equal lines of equal times).
struct PendingEvent: Hashable, Sendable {
    var sequence: UInt64
    var event: HostEvent

    static func == (left: PendingEvent, right: PendingEvent) -> Bool {
        left.sequence == right.sequence && left.event == right.event
    }

    func hash(into hasher: inout Hasher) { hasher.combine(sequence) }

    /// Event number `sequence`.
    init(sequence: UInt64, event: HostEvent) {
        self.sequence = sequence
        self.event = event
    }

    /// Writes all fields.
    func write(to writer: inout JournalWriter) {
        writer.put(sequence)
        writer.put(event.kind.rawValue)
        writer.put(event.nanoseconds)
        writer.put(event.source)
        writer.put(event.subject)
        writer.put(event.details)
        writer.put(event.text)
    }

    /// Reads all fields.
    init(from reader: inout JournalReader) throws(ByteError) {
        sequence = try reader.unsigned()
        let kind = try reader.choice(HostEvent.Kind.self)
        let nanoseconds = try reader.signed()
        let source = try reader.text()
        let subject = try reader.labels()
        let details = try reader.labels()
        event = HostEvent(
            kind, nanoseconds: nanoseconds, source: source, subject: subject, details: details, text: try reader.text())
    }
}
