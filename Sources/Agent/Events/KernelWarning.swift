/// What the kernel warns of in its log, by kind. Pure.
enum KernelWarning: String, Sendable, CaseIterable {
    case hungTask = "hung_task"
    case lockup
    case fileSystem = "file_system"
    case inputOutput = "input_output"
    case hardware
    case connectionTracking = "connection_tracking"
    case synFlood = "syn_flood"
    case crash
    case readOnly = "read_only"
    case thermal

    /// The words by which messages are known, as they stand in the kernel's sources.
    private var words: [String] {
        switch self {
        case .hungTask: ["blocked for more than"]
        case .lockup: ["soft lockup", "hard LOCKUP", "rcu_sched self-detected stall", "rcu: INFO: rcu_"]
        case .readOnly: ["Remounting filesystem read-only"]
        case .fileSystem: ["EXT4-fs error", "XFS (", "BTRFS error", "Corruption of in-memory data"]
        case .inputOutput: ["I/O error", "Medium Error", "critical medium error"]
        case .hardware: ["Hardware Error", "Machine check", "EDAC "]
        case .connectionTracking: ["nf_conntrack: table full", "neighbour: arp_cache: neighbor table overflow"]
        case .synFlood: ["Possible SYN flooding"]
        case .crash: ["BUG: ", "Oops: ", "general protection fault", "kernel BUG at", "Unable to handle kernel"]
        case .thermal: ["cpu clock throttled", "temperature above threshold"]
        }
    }

    /// Levels up to `warning`; some messages of these words are also printed to inform (`XFS (sda1): Mounting`).
    private static let levelMaximum = 4

    /// The kind of a record of /dev/kmsg (`priority,sequence,microseconds,flags;text`), and its text; nil when it is no
    /// warning of interest.
    static func find(in record: Substring) -> (kind: KernelWarning, text: String)? {
        guard let semicolon = record.firstIndex(of: ";"), let priority = Int(record.prefix { $0 != "," }),
            priority >> 3 == 0, priority & 7 <= levelMaximum
        else { return nil }
        let text = record[record.index(after: semicolon)...].prefix { $0 != "\n" }
        guard let kind = allCases.first(where: { kind in kind.words.contains { text.contains($0) } }) else {
            return nil
        }
        return (kind, String(text))
    }
}
