internal import Crypto
package import Telemetry

/// One thing that was decided, done or refused, as the audit log keeps it.
package struct AuditEntry: Hashable, Sendable {
    /// What happened, for example `action.commanded`.
    package var kind: String
    package var nanoseconds: Int64
    /// Who, what, why: everything needed to understand it without another source.
    package var fields: Labels

    /// An entry.
    package init(kind: String, nanoseconds: Int64, fields: Labels) {
        self.kind = kind
        self.nanoseconds = nanoseconds
        self.fields = fields
    }
}

/// The end of a chain: how many records it has and the hash of the last one. Kept elsewhere, it proves that nothing
/// was cut off.
package struct AuditHead: Hashable, Sendable {
    /// 0 for an empty chain.
    package var sequence: UInt64
    /// 64 hexadecimal digits.
    package var hash: String

    /// A head.
    package init(sequence: UInt64, hash: String) {
        self.sequence = sequence
        self.hash = hash
    }

    /// The head of a chain without records.
    package static let empty = AuditHead(sequence: 0, hash: String(repeating: "0", count: 64))
}

/// One line of the audit log and its place in the chain (docs/formats/audit-log.md).
struct AuditRecord: Equatable {
    /// The version of the format, part of every line.
    static let formatVersion = 1

    let sequence: UInt64
    let entry: AuditEntry
    let previous: String
    let hash: String
    /// The line as it stands in the file, line end included.
    let line: [UInt8]

    /// The record that follows `head`.
    init(_ entry: AuditEntry, behind head: AuditHead) {
        sequence = head.sequence + 1
        self.entry = entry
        previous = head.hash
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("version", AuditRecord.formatVersion)
        writer.member("sequence", sequence)
        writer.member("time", Timestamps.rfc3339(nanoseconds: entry.nanoseconds))
        writer.member("kind", entry.kind)
        writer.key("fields")
        writer.labels(entry.fields)
        writer.member("previous", previous)
        writer.endObject()
        // The hash covers the line up to here; what follows is fixed but for the hash itself.
        let covered = Array(writer.bytes.dropLast())
        hash = AuditRecord.hash(of: covered)
        line = covered + Array(",\"hash\":\"\(hash)\"}\n".utf8)
    }

    /// Reads a line and checks that it is, byte for byte, what this code would have written for its content.
    /// Throws what is wrong with it, in words.
    init(parsing line: ArraySlice<UInt8>) throws(AuditDamage) {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: Array(line))
        } catch {
            throw AuditDamage("not a record (\(error))")
        }
        guard value["version"]?.wholeNumber == Int64(AuditRecord.formatVersion) else {
            throw AuditDamage("a version this program does not know")
        }
        guard let sequence = value["sequence"]?.wholeNumber, sequence > 0, let time = value["time"]?.text,
            let nanoseconds = Timestamps.nanoseconds(rfc3339: time), let kind = value["kind"]?.text,
            let members = value["fields"]?.members, let previous = value["previous"]?.text
        else {
            throw AuditDamage("a field is missing or of the wrong kind")
        }
        let fields = Labels(members.map { (name: $0.key, value: $0.value.text ?? "") })
        let entry = AuditEntry(kind: kind, nanoseconds: nanoseconds, fields: fields)
        self.init(entry, behind: AuditHead(sequence: UInt64(sequence) - 1, hash: previous))
        guard self.line.dropLast().elementsEqual(line) else {
            throw AuditDamage("its content does not fit its hash: it was changed")
        }
    }

    private static func hash(of bytes: [UInt8]) -> String {
        SHA256.hash(data: bytes).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count < 2 ? "0\(digits)" : digits
        }.joined()
    }
}

/// What is wrong with a line of an audit log.
struct AuditDamage: Error, Equatable {
    let reason: String

    init(_ reason: String) {
        self.reason = reason
    }
}
