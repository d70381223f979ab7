internal import Telemetry

/// What one integration was told last about one group: Alertmanager's notification log, kept in the journal, so that a
/// restart neither repeats nor forgets.
struct GroupMemory: Hashable, Sendable {
    /// What it is kept under: the lane its messages go through.
    typealias Key = OutboxLane

    var key: Key
    /// The alerts it was told fire.
    var firing: Set<Fingerprint>
    /// The alerts it was told are resolved.
    var resolved: Set<Fingerprint>
    var toldAt: Int64

    /// Whether the group is to be told again, and why; nil when not. Source: `needsUpdate` of Alertmanager
    /// (notify/dedup_stage.go).
    static func reason(
        after memory: GroupMemory?, firing: Set<Fingerprint>, resolved: Set<Fingerprint>, sendsResolved: Bool,
        repeatIntervalMilliseconds: Int64, now: Int64
    ) -> Notification.Reason? {
        guard let memory else { return firing.isEmpty ? nil : .firstNotification }
        if !firing.isSubset(of: memory.firing) { return .newAlerts }
        if firing.isEmpty { return memory.firing.isEmpty ? nil : .allResolved }
        if sendsResolved, !resolved.isSubset(of: memory.resolved) { return .newResolvedAlerts }
        // Told at a time still to come: the clock was set back, and nobody shall wait until it has caught up.
        let isDue = now - memory.toldAt >= repeatIntervalMilliseconds || memory.toldAt > now
        return isDue ? .repeatInterval : nil
    }

    /// Writes all fields.
    func write(to writer: inout JournalWriter) {
        key.write(to: &writer)
        writer.put(firing.sorted()) { $0.put($1.rawValue) }
        writer.put(resolved.sorted()) { $0.put($1.rawValue) }
        writer.put(toldAt)
    }

    /// Reads all fields.
    init(from reader: inout JournalReader) throws(ByteError) {
        key = try Key(from: &reader)
        firing = Set(try reader.list { (reader) throws(ByteError) in Fingerprint(rawValue: try reader.unsigned()) })
        resolved = Set(try reader.list { (reader) throws(ByteError) in Fingerprint(rawValue: try reader.unsigned()) })
        toldAt = try reader.signed()
    }

    /// What was told.
    init(key: Key, firing: Set<Fingerprint>, resolved: Set<Fingerprint>, toldAt: Int64) {
        self.key = key
        self.firing = firing
        self.resolved = resolved
        self.toldAt = toldAt
    }
}
