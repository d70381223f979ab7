package import Disk
internal import Synchronization
package import Telemetry

/// The hash-chained record of everything that was decided, done or refused. Each append is on disk when it returns.
///
/// Blocking; called on a thread that may wait for disk. Checked by `AuditVerifier`, format in
/// docs/formats/audit-log.md.
package final class AuditLog: Sendable {
    /// How much of the end is read to find the last record.
    private static let tailBytesMaximum = 1 << 20

    private struct State {
        var head: AuditHead
        var end: UInt64
        /// Set after a failed sync: what is on disk is unknown then, and another sync would lie.
        var failure: StorageError?
    }

    private let file: any FileHandle
    /// The path of the file, for messages.
    package let path: String
    /// What opening found wrong and did about it, nil when all was well.
    package let recovery: String?
    private let state: Mutex<State>

    /// Opens the log at `path`, or begins one. A record that was cut short by a crash was never acknowledged and is cut
    /// off; anything else that is wrong is left as it is for the verifier, and the chain goes on behind `anchor`.
    package init(path: String, in storage: any FileStorage, anchor: AuditHead? = nil) throws(StorageError) {
        self.path = path
        file = try storage.open(path, .createOrOpen)
        try storage.syncFolder(AuditLog.folder(of: path))
        var end = try file.size()
        let length = Int(min(end, UInt64(AuditLog.tailBytesMaximum)))
        let tail = try AuditLog.read(file, from: end - UInt64(length), length)
        var recovery: String?
        let whole = (tail.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1
        if whole < tail.count {
            recovery = "\(path): \(tail.count - whole) bytes of a record that was never acknowledged were cut off"
            end -= UInt64(tail.count - whole)
            try file.truncate(to: end)
            try file.dataSync()
        }
        var head = AuditHead.empty
        if whole > 0 {
            let start = (tail[..<(whole - 1)].lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1
            if let last = try? AuditRecord(parsing: tail[start..<(whole - 1)]) {
                head = AuditHead(sequence: last.sequence, hash: last.hash)
            } else {
                head = anchor ?? .empty
                recovery = "\(path): the last record is damaged; run `vedette audit verify`. New records follow it"
            }
        }
        if let anchor, head.sequence < anchor.sequence || (head.sequence == anchor.sequence && head != anchor) {
            // Going on behind the anchor leaves a gap in the chain that every check finds from now on.
            recovery =
                "\(path): it ends at record \(head.sequence), record \(anchor.sequence) is known: "
                + "it was cut or changed; keep it and run `vedette audit verify`"
            head = anchor
        }
        self.recovery = recovery
        state = Mutex(State(head: head, end: end))
    }

    /// The end of the chain.
    package var head: AuditHead { state.withLock { $0.head } }

    /// Appends a record and makes it durable. After a full disk the next append may succeed; after a failed sync none.
    package func append(kind: String, fields: Labels, nanoseconds: Int64) throws(StorageError) -> AuditHead {
        try append(AuditEntry(kind: kind, nanoseconds: nanoseconds, fields: fields))
    }

    /// Appends a record and makes it durable.
    @discardableResult
    package func append(_ entry: AuditEntry) throws(StorageError) -> AuditHead { try append([entry]) }

    /// Appends records and makes them durable with one sync: all of them, or none.
    @discardableResult
    package func append(_ entries: [AuditEntry]) throws(StorageError) -> AuditHead {
        let result = state.withLock { state in
            Result { () throws(StorageError) in try write(entries, &state) }
        }
        return try result.get()
    }

    private func write(_ entries: [AuditEntry], _ state: inout State) throws(StorageError) -> AuditHead {
        if let failure = state.failure { throw failure }
        var head = state.head
        var lines: [UInt8] = []
        for entry in entries {
            let record = AuditRecord(entry, behind: head)
            lines += record.line
            head = AuditHead(sequence: record.sequence, hash: record.hash)
        }
        do {
            try lines.withUnsafeBufferPointer { buffer throws(StorageError) in
                try file.write(UnsafeRawBufferPointer(buffer), at: state.end)
            }
        } catch {
            // Part of a line may be there; the next one is written over it, and a shorter one must not leave a rest.
            try? file.truncate(to: state.end)
            throw error
        }
        do {
            try file.dataSync()
        } catch {
            state.failure = error
            throw error
        }
        state.end += UInt64(lines.count)
        state.head = head
        return head
    }

    private static func read(
        _ file: any FileHandle, from offset: UInt64, _ length: Int
    ) throws(StorageError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: length)
        let result = bytes.withUnsafeMutableBytes { raw in
            Result { () throws(StorageError) in try file.read(into: raw, at: offset) }
        }
        try result.get()
        return bytes
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
