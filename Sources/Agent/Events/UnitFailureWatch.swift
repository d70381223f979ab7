internal import CSystemd
internal import Glibc
internal import Telemetry

/// A systemd unit that failed.
struct UnitFailure: Equatable {
    var unit: String
    /// systemd's word for it: `exit-code`, `signal`, `oom-kill`, `timeout`, …
    var result: String
    /// Who told.
    var source: String
}

/// Port: tells of units that fail. Belongs to the collection thread.
protocol UnitFailureWatch: AnyObject {
    /// Readable when something may have happened.
    var descriptor: Int32 { get }
    /// The failures since the last call; nil when the source is gone.
    func take() -> [UnitFailure]?
}

/// systemd's signals on the system's bus: at once.
final class BusUnitWatch: UnitFailureWatch {
    private let units: OpaquePointer
    let descriptor: Int32

    /// Nil where there is no library, no bus or no systemd; `address` names another bus than the system's.
    init?(address: String? = nil) {
        var opened: OpaquePointer?
        guard vedette_units_open(&opened, address) >= 0, let opened else { return nil }
        units = opened
        descriptor = vedette_units_get_descriptor(opened)
    }

    deinit { vedette_units_close(units) }

    func take() -> [UnitFailure]? {
        var failures: [UnitFailure] = []
        var unit = [CChar](repeating: 0, count: 300)
        var result = [CChar](repeating: 0, count: 64)
        while true {
            let code = vedette_units_next(units, &unit, unit.count, &result, result.count)
            guard code >= 0 else { return nil }
            guard code > 0 else { return failures }
            failures.append(UnitFailure(unit: Self.text(unit), result: Self.text(result), source: "dbus"))
        }
    }

    private static func text(_ bytes: [CChar]) -> String {
        String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// What systemd writes into the journal, which a reader sees up to a quarter of a second later.
final class JournalUnitWatch: UnitFailureWatch {
    private let journal: Journal

    var descriptor: Int32 { journal.descriptor }

    /// A watch from now on; throws where there is no journal to be read. `folder` names files of a journal instead of
    /// the system's own.
    init(folder: String? = nil) throws(Journal.Failure) {
        journal = try Journal(
            folder: folder,
            matches: [
                // SD_MESSAGE_UNIT_FAILURE_RESULT and SD_MESSAGE_UNIT_FAILED (sd-messages.h).
                "MESSAGE_ID=d9b373ed55a64feb8242e02dbe79a49c", "MESSAGE_ID=be02cf6855d2428ba40df7e9d022f03d",
                // journald vouches for this field: anybody may write the others.
                "_PID=1",
            ])
        journal.seekLast(0)
    }

    func take() -> [UnitFailure]? {
        journal.process()
        var failures: [UnitFailure] = []
        while journal.next() {
            let entry = JournalEntry(journal)
            guard let unit = entry["UNIT"] ?? entry["USER_UNIT"] else { continue }
            failures.append(
                UnitFailure(
                    unit: unit, result: entry["UNIT_RESULT"] ?? entry["JOB_RESULT"] ?? "", source: "journal"))
        }
        return failures
    }
}
