internal import Telemetry

/// What is wanted of one entry of the journal (systemd.journal-fields(7); moby, daemon/logger/journald; conmon).
struct JournalEntry: Equatable {
    var nanoseconds: Int64 = 0
    var message: [UInt8] = []
    /// The other fields that are wanted.
    private(set) var texts: [String: String] = [:]

    /// An entry without fields.
    init() {}

    /// An entry of these fields, as a test gives them.
    init(nanoseconds: Int64, message: String, _ texts: [String: String]) {
        self.nanoseconds = nanoseconds
        self.message = Array(message.utf8)
        self.texts = texts
    }

    private static let wanted: Set<String> = [
        "PRIORITY", "SYSLOG_IDENTIFIER", "_SYSTEMD_UNIT", "_SYSTEMD_USER_UNIT", "UNIT", "MESSAGE_ID", "N_DROPPED",
        "CONTAINER_ID_FULL", "CONTAINER_NAME", "CONTAINER_TAG", "IMAGE_NAME", "CONTAINER_PARTIAL_MESSAGE",
        "CONTAINER_PARTIAL_ID", "CONTAINER_PARTIAL_LAST", "CONTAINER_LOG_EPOCH", "CONTAINER_LOG_ORDINAL",
        "SYSLOG_TIMESTAMP", "_TRANSPORT", "_LINE_BREAK", "_PID", "UNIT_RESULT", "JOB_RESULT",
    ]

    /// Reads the entry on which `journal` stands.
    init(_ journal: Journal) {
        nanoseconds = journal.nanoseconds
        journal.fields { name, value in
            let name = String(Substring(name))
            if name == "MESSAGE" {
                message = Array(value)
            } else if Self.wanted.contains(name) {
                texts[name] = String(decoding: value, as: UTF8.self)
            }
        }
    }

    /// A field's text.
    subscript(_ name: String) -> String? { texts[name] }

    /// The container whose line it is.
    var container: String? { texts["CONTAINER_ID_FULL"] }

    /// 0 (emergency) to 7 (debug).
    var priority: Int? { texts["PRIORITY"].flatMap { Int($0) } }

    /// Whether the rest of the line follows in another entry.
    var isPartial: Bool { texts["CONTAINER_PARTIAL_MESSAGE"] == "true" && texts["CONTAINER_PARTIAL_LAST"] != "true" }

    /// How many messages journald dropped because their unit wrote too many (SD_MESSAGE_JOURNAL_DROPPED).
    var dropped: UInt64? {
        guard texts["MESSAGE_ID"] == "a596d6fe7bfa4994828e72309e95d61e" else { return nil }
        return texts["N_DROPPED"].flatMap { UInt64($0) } ?? 0
    }

    /// The unit that wrote it, or that it is about.
    var unit: String? { texts["_SYSTEMD_USER_UNIT"] ?? texts["_SYSTEMD_UNIT"] }
}

/// Makes lines of entries: joins the pieces of containers' lines and finds gaps in their count. Pure.
struct JournalLines {
    /// A line, and whose it is.
    struct Line: Equatable {
        var entry: JournalEntry
        var text: [UInt8]
        var isWhole = true
    }

    /// Entries of a container that its engine wrote and the journal does not have.
    struct Gap: Equatable {
        var entry: JournalEntry
        var lines: UInt64
    }

    private struct Pending {
        var entry: JournalEntry
        var text: [UInt8]
        var since: Int64
    }

    private var pending: [String: Pending] = [:]
    private var ordinals: [String: (epoch: String, ordinal: UInt64)] = [:]

    /// A line whose rest does not come for so long is given out as it is.
    private static let waitNanoseconds: Int64 = 5_000_000_000
    private static let pendingMaximum = 1_024

    /// Whether pieces are held back, so that the place in the journal may not be written down.
    var isWaiting: Bool { !pending.isEmpty }

    /// Takes an entry at `now` (monotonic).
    mutating func take(_ entry: JournalEntry, atNanoseconds now: Int64, emit: (Line) -> Void, gap: (Gap) -> Void) {
        var entry = entry
        if entry.message.last == UInt8(ascii: "\n") { entry.message.removeLast() }
        guard let container = entry.container else { return emit(Line(entry: entry, text: entry.message)) }
        count(entry, container, gap)
        let key = "\(container) \(entry["CONTAINER_PARTIAL_ID"] ?? "\(entry.priority ?? 6)")"
        var text = pending.removeValue(forKey: key)?.text ?? []
        text.append(contentsOf: entry.message)
        let isHeld = entry.isPartial && text.count < LineJoiner.lineBytesMaximum && pending.count < Self.pendingMaximum
        guard isHeld else { return emit(Line(entry: entry, text: text, isWhole: !entry.isPartial)) }
        pending[key] = Pending(entry: entry, text: text, since: now)
    }

    /// Gives out what waited too long.
    mutating func flush(atNanoseconds now: Int64, emit: (Line) -> Void) {
        for (key, line) in pending where now - line.since >= Self.waitNanoseconds {
            pending[key] = nil
            emit(Line(entry: line.entry, text: line.text, isWhole: false))
        }
    }

    /// Docker counts what it writes for a container since its start.
    private mutating func count(_ entry: JournalEntry, _ container: String, _ gap: (Gap) -> Void) {
        guard let epoch = entry["CONTAINER_LOG_EPOCH"],
            let ordinal = entry["CONTAINER_LOG_ORDINAL"].flatMap({ UInt64($0) })
        else { return }
        if let last = ordinals[container], last.epoch == epoch, ordinal > last.ordinal + 1 {
            gap(Gap(entry: entry, lines: ordinal - last.ordinal - 1))
        }
        if ordinals.count > 16_384 { ordinals.removeAll() }
        ordinals[container] = (epoch, ordinal)
    }
}
