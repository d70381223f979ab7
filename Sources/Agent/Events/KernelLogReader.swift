internal import Glibc
internal import Telemetry

/// Follows the kernel's log (/dev/kmsg) from its oldest record on and reports OOM kills. Belongs to the collection
/// thread.
final class KernelLogReader {
    let descriptor: Int32
    private let notices: Notices
    private var record = [UInt8](repeating: 0, count: 8192)
    /// The number of the last record that was read.
    private(set) var lastSequence: UInt64 = 0
    /// Records that were overwritten before they were read.
    private(set) var lostRecords: UInt64 = 0

    /// Opens the log at its start; nil, and said so, where that is not allowed.
    init?(host: HostRoot, notices: Notices) {
        self.notices = notices
        guard host.isMachine else { return nil }
        descriptor = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0, lseek(descriptor, 0, SEEK_SET) >= 0 else {
            let reason = String(cString: strerror(errno))
            if descriptor >= 0 { close(descriptor) }
            notices.say(
                .warning, about: "/dev/kmsg",
                """
                /dev/kmsg cannot be read (\(reason)): OOM kills are noticed by cgroup counters and the engine only; \
                run as root or with CAP_SYSLOG for the kernel's own record
                """)
            return nil
        }
    }

    deinit { close(descriptor) }

    /// Reads all waiting records and hands over those about OOM kills.
    /// `onWarning` gets records in which the kernel warns of something else, as they are.
    func drain(
        onWarning: (Substring) -> Void = { _ in }, _ body: (_ sequence: UInt64, KernelRecord) -> Void
    ) {
        while true {
            let count = record.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                // One record per call; most of what a kernel says is of no interest, so text is made only of the rest.
                if let sequence = Self.sequence(record[..<count]) { lastSequence = sequence }
                let isKill = Self.isInteresting(record[..<count])
                guard isKill || Self.isWarning(record[..<count]) else { continue }
                let text = String(decoding: record[..<count], as: UTF8.self)
                if let known = KernelRecord(text[...]) {
                    body(lastSequence, known)
                } else {
                    onWarning(text[...])
                }
            } else if count < 0, errno == EPIPE {
                lostRecords += 1
            } else if count < 0, errno == EINTR {
                continue
            } else {
                return
            }
        }
    }

    /// The second of the numbers in front of a record (Documentation/ABI/testing/dev-kmsg).
    private static func sequence(_ record: ArraySlice<UInt8>) -> UInt64? {
        guard let comma = record.firstIndex(of: UInt8(ascii: ",")) else { return nil }
        var value: UInt64 = 0
        for byte in record[(comma + 1)...] {
            guard byte &- UInt8(ascii: "0") < 10 else { break }
            value = value &* 10 &+ UInt64(byte &- UInt8(ascii: "0"))
        }
        return value
    }

    /// Whether a record of the kernel's own has the level of a warning or a worse one.
    private static func isWarning(_ record: ArraySlice<UInt8>) -> Bool {
        guard let first = record.first, record.dropFirst().first == UInt8(ascii: ",") else { return false }
        return first >= UInt8(ascii: "0") && first <= UInt8(ascii: "4")
    }

    private static func isInteresting(_ record: ArraySlice<UInt8>) -> Bool {
        guard let semicolon = record.firstIndex(of: UInt8(ascii: ";")) else { return false }
        let text = record[(semicolon + 1)...]
        return text.starts(with: "oom-kill:".utf8) || text.starts(with: "Memory cgroup out".utf8)
            || text.starts(with: "Out of memory".utf8) || text.starts(with: "Task in ".utf8)
            || text.starts(with: "Killed process".utf8)
    }
}
