internal import Disk
internal import Telemetry

/// A record for the audit log that is not yet known to be in it. Its place is given out when it is decided, so that a
/// crash between journal and audit log neither loses nor doubles it.
struct PendingAudit: Hashable, Sendable {
    /// Its place in the audit log, from 1.
    var sequence: UInt64
    var entry: AuditEntry

    /// A record at its place.
    init(sequence: UInt64, entry: AuditEntry) {
        self.sequence = sequence
        self.entry = entry
    }

    /// Writes all fields.
    func write(to writer: inout JournalWriter) {
        writer.put(sequence)
        writer.put(entry.kind)
        writer.put(entry.nanoseconds)
        writer.put(entry.fields)
    }

    /// Reads all fields.
    init(from reader: inout JournalReader) throws(ByteError) {
        sequence = try reader.unsigned()
        entry = AuditEntry(
            kind: try reader.text(), nanoseconds: try reader.signed(), fields: try reader.labels())
    }
}

extension AuditLog {
    /// Appends the records that the log does not have yet, each at its place; returns where the log ends then, and why
    /// it does not take more.
    func append(pending: [PendingAudit]) -> (head: AuditHead, fault: StorageError?) {
        var next = head.sequence
        var entries: [AuditEntry] = []
        for record in pending where record.sequence == next + 1 {
            entries.append(record.entry)
            next += 1
        }
        do throws(StorageError) {
            return (entries.isEmpty ? head : try append(entries), nil)
        } catch {
            return (head, error)
        }
    }
}
