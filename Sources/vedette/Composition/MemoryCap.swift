internal import Glibc
internal import Telemetry

/// The one memory cap of the process: what `--memory` says, else the configuration, else 60 % of what the machine or
/// the cgroup allows.
enum MemoryCap {
    /// The share of the limit that is taken without being told.
    static let defaultShare = 0.6

    /// The cap in bytes; `configured` is what the configuration file says.
    static func bytes(option: String?, configured: Int64?) throws -> Int {
        if let option {
            guard let bytes = ByteSizes.bytes(option), bytes >= StoreLimits.memoryBytesMinimum else {
                throw CommandFailure.wrongUsage(
                    "--memory \(option) is no size of 64MiB or more; write for example 512MiB or 2GiB")
            }
            return Int(bytes)
        }
        if let configured { return Int(configured) }
        let physical = Int(sysconf(Int32(_SC_PHYS_PAGES))) * Int(sysconf(Int32(_SC_PAGESIZE)))
        let limit = min(physical, cgroupLimit() ?? physical)
        return Int(Double(limit) * defaultShare)
    }

    /// The memory limit of this process' own cgroup, v2 or v1; nil where there is none.
    private static func cgroupLimit() -> Int? {
        let candidates = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        for path in candidates {
            if let text = readFirstLine(path), let bytes = Int(text), bytes < Int.max / 2 { return bytes }
        }
        return nil
    }

    private static func readFirstLine(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var buffer = [CChar](repeating: 0, count: 64)
        guard fgets(&buffer, Int32(buffer.count), file) != nil else { return nil }
        let text = String(decoding: buffer.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text
    }
}
