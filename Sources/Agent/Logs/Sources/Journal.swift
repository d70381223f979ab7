internal import CSystemd
internal import Glibc
internal import Telemetry

/// The system's journal, opened for reading. Belongs to one thread (sd-journal(3) is not thread-safe).
final class Journal {
    private let journal: OpaquePointer
    /// Readable when something may have changed; -1 where the journal cannot tell, and must be polled.
    let descriptor: Int32

    /// Why a journal cannot be read, in words.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Opens the system's journal, or the files in `folder`; `matches` (`FIELD=value`) limit what is read to entries
    /// that have one of them. Throws when there is no library or the journal cannot be opened.
    init(folder: String?, matches: [String] = []) throws(Failure) {
        if let reason = vedette_journal_load() { throw Failure(description: String(cString: reason)) }
        var opened: OpaquePointer?
        let code = folder.map { vedette_journal_open_folder(&opened, $0) } ?? vedette_journal_open(&opened)
        guard code >= 0, let opened else { throw Failure(description: Self.words(code)) }
        journal = opened
        _ = vedette_journal_set_data_threshold(opened, 1 << 20)
        for match in matches {
            let bytes = Array(match.utf8)
            _ = vedette_journal_add_match(opened, bytes, bytes.count)
        }
        // Asked before the first reading, or changes until then would not be noticed.
        descriptor = vedette_journal_get_descriptor(opened)
    }

    deinit { vedette_journal_close(journal) }

    private static func words(_ code: Int32) -> String { String(cString: strerror(-code)) }

    /// Goes to the entry of `cursor`, so that `next` is the one behind it. False when that entry is gone: then `next`
    /// is the first one that came after it.
    func seek(_ cursor: String) -> Bool {
        guard vedette_journal_seek_cursor(journal, cursor) >= 0, vedette_journal_next(journal) > 0 else {
            _ = vedette_journal_seek_head(journal)
            return false
        }
        if vedette_journal_test_cursor(journal, cursor) > 0 { return true }
        // Sought again, so that the entry it came to is still the next one.
        _ = vedette_journal_seek_cursor(journal, cursor)
        return false
    }

    /// Goes back from the end so that so many entries follow.
    func seekLast(_ entries: UInt64) {
        _ = vedette_journal_seek_tail(journal)
        // One more, because `next` leaves the entry it stands on.
        let moved = vedette_journal_previous_skip(journal, entries + 1)
        if moved >= 0, UInt64(moved) <= entries { _ = vedette_journal_seek_head(journal) }
    }

    /// Goes on to the next entry; false when there is none yet.
    func next() -> Bool { vedette_journal_next(journal) > 0 }

    /// Takes in what changed: files that came, went, or grew. Call it before reading on.
    func process() { _ = vedette_journal_process(journal) }

    /// When the current entry was made.
    var nanoseconds: Int64 {
        var microseconds: UInt64 = 0
        _ = vedette_journal_get_realtime(journal, &microseconds)
        return Int64(clamping: microseconds) * 1000
    }

    /// The current entry's place, for `seek`.
    var cursor: String? {
        var text: UnsafeMutablePointer<CChar>?
        guard vedette_journal_get_cursor(journal, &text) >= 0, let text else { return nil }
        defer { free(text) }
        return String(cString: text)
    }

    /// Hands over the current entry's fields, name and value, where `name` is wanted.
    func fields(_ body: (_ name: Substring.UTF8View, _ value: UnsafeRawBufferPointer) -> Void) {
        vedette_journal_restart_data(journal)
        var data: UnsafeRawPointer?
        var length = 0
        while vedette_journal_enumerate_data(journal, &data, &length) > 0, let start = data {
            let bytes = UnsafeRawBufferPointer(start: start, count: length)
            guard let equals = bytes.offset(of: UInt8(ascii: "=")) else { continue }
            let name = String(decoding: bytes[..<equals], as: UTF8.self)
            body(name[...].utf8, UnsafeRawBufferPointer(rebasing: bytes[(equals + 1)...]))
        }
    }
}
