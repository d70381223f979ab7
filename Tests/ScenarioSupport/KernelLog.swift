internal import Foundation
internal import Glibc

/// The kernel's own record of OOM kills, with its own time: what every delay is measured from.
package final class KernelLog {
    /// One OOM kill inside a memory cgroup.
    package struct OOMKill: Sendable {
        /// Nanoseconds since 1970, from the record's own stamp.
        package let nanoseconds: Int64
        /// The cgroup whose limit was met, for example `/docker/<id>`.
        package let cgroup: String
    }

    private let descriptor: Int32

    /// Reads from now on; throws where the kernel log cannot be read.
    package init() throws {
        descriptor = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { throw ScenarioError("/dev/kmsg cannot be read: \(errno)") }
        lseek(descriptor, 0, Int32(SEEK_END))
    }

    deinit {
        close(descriptor)
    }

    /// The kills recorded since the last call.
    package func kills() -> [OOMKill] {
        var kills: [OOMKill] = []
        var buffer = [UInt8](repeating: 0, count: 8_192)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            // EPIPE: records were overwritten before they were read; the next read goes on behind them.
            if count < 0 && errno == EPIPE { continue }
            if count <= 0 { return kills }
            let record = String(decoding: buffer[..<count], as: UTF8.self)
            if let kill = KernelLog.parse(record, bootNanoseconds: KernelLog.bootNanoseconds()) { kills.append(kill) }
        }
    }

    /// "6,1234,987654321,-;oom-kill:constraint=CONSTRAINT_MEMCG,…,oom_memcg=/docker/…,task=sh,pid=1"
    static func parse(_ record: String, bootNanoseconds: Int64) -> OOMKill? {
        guard let range = record.range(of: "oom_memcg="), record.contains("oom-kill:") else { return nil }
        let head = record.prefix { $0 != ";" }.split(separator: ",")
        guard head.count >= 3, let microseconds = Int64(head[2]) else { return nil }
        let cgroup = record[range.upperBound...].prefix { $0 != "," && $0 != "\n" }
        return OOMKill(nanoseconds: bootNanoseconds + microseconds * 1_000, cgroup: String(cgroup))
    }

    private static func bootNanoseconds() -> Int64 {
        var wall = timespec()
        var monotonic = timespec()
        clock_gettime(CLOCK_REALTIME, &wall)
        clock_gettime(CLOCK_MONOTONIC, &monotonic)
        let nanoseconds = { (time: timespec) in Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec) }
        return nanoseconds(wall) - nanoseconds(monotonic)
    }
}
