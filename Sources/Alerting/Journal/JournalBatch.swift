internal import Disk
internal import Telemetry

/// What one frame of the journal holds: entries that were decided together and are kept together or not at all. That a
/// message will be sent and that its group counts as told must not be separated by a crash.
enum JournalBatch {
    /// The frame's kind: entries of one decision.
    static let decisionKind: UInt8 = 1
    /// The frame's kind: a piece of a snapshot.
    static let snapshotKind: UInt8 = 2
    /// The first byte of every payload.
    static let version: UInt8 = 1
    /// A snapshot is cut into pieces of about this size.
    static let pieceBytes = 1 << 20

    /// The payload of a frame: version, number of entries, then each entry's number and fields.
    static func encode(_ entries: some Collection<JournalEntry>) -> [UInt8] {
        var writer = ByteWriter()
        writer.put(version)
        writer.putVarint(UInt64(entries.count))
        for entry in entries {
            writer.put(entry.kind)
            writer.putPrefixed(entry.payload)
        }
        return writer.bytes
    }

    /// The entries of a payload.
    static func decode(_ payload: UnsafeRawBufferPointer) throws(ByteError) -> [JournalEntry] {
        var reader = ByteReader(payload)
        let version = try reader.byte()
        guard version == JournalBatch.version else {
            throw ByteError(offset: 0, reason: "version \(version) is not known, this program reads version 1")
        }
        var entries: [JournalEntry] = []
        for _ in 0..<(try reader.count(upTo: reader.remaining, "number of entries")) {
            let kind = try reader.byte()
            entries.append(try JournalEntry.read(kind: kind, try reader.prefixed()))
        }
        return entries
    }

    /// The frames of a snapshot.
    static func pieces(of snapshot: [JournalEntry]) -> [LogRecord] {
        var records: [LogRecord] = []
        var start = 0
        var bytes = 0
        for (index, entry) in snapshot.enumerated() {
            bytes += entry.payload.count + 8
            guard bytes >= pieceBytes || index + 1 == snapshot.count else { continue }
            records.append(LogRecord(kind: snapshotKind, payload: encode(snapshot[start...index])))
            start = index + 1
            bytes = 0
        }
        return records
    }
}

/// Rebuilds the state from the journal's frames in order.
struct JournalReplay {
    private(set) var state = AlertingState()
    /// What could not be read: the frames before and behind it were.
    private(set) var faults: [String] = []
    private var snapshot: (state: AlertingState, count: UInt64)?

    /// Takes in a frame.
    mutating func add(_ frame: LogFrame) {
        if frame.lostBefore > 0 {
            faults.append("\(frame.lostBefore) frames before \(frame.position) are damaged or missing")
        }
        do throws(ByteError) {
            try add(kind: frame.kind, frame.payload)
        } catch {
            faults.append("frame \(frame.position) cannot be read: \(error.description)")
        }
    }

    /// Takes in the payload of a frame.
    mutating func add(kind: UInt8, _ payload: UnsafeRawBufferPointer) throws(ByteError) {
        let entries = try JournalBatch.decode(payload)
        if kind == JournalBatch.snapshotKind { return addPiece(entries) }
        // A snapshot whose end never came was not finished: the state before it goes on.
        snapshot = nil
        for entry in entries { state.apply(entry) }
    }

    private mutating func addPiece(_ entries: [JournalEntry]) {
        for entry in entries {
            switch entry {
            case .snapshotBegin: snapshot = (AlertingState(), 0)
            case .snapshotEnd(let count):
                if let snapshot, snapshot.count == count { state = snapshot.state }
                snapshot = nil
            default:
                snapshot?.state.apply(entry)
                snapshot?.count += 1
            }
        }
    }
}
