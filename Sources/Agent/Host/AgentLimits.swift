internal import Disk
internal import Glibc

/// What the process may take and what it takes.
enum AgentLimits {
    /// The system gives no more threads.
    static let noThread = StorageError(
        .other, operation: "pthread_create", path: "the agent",
        detail: "the system gives no more threads (see ulimit -u)")

    /// Raises the number of open files to what is allowed without asking: fifteen per container are kept open.
    static func raiseDescriptors() {
        var limit = rlimit()
        // RLIMIT_NOFILE is 7 on Linux; its type differs between C libraries.
        let openFiles = __rlimit_resource_t(7)
        guard getrlimit(openFiles, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(openFiles, &limit)
    }

    /// CPU time of the process and its resident memory.
    static func usage() -> (cpuSeconds: Double, residentBytes: UInt64) {
        var usage = rusage()
        let me = __rusage_who_t(0)
        guard getrusage(me, &usage) == 0 else { return (0, 0) }
        let seconds = Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
        let micros = Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
        let pages = HostRoot().text("/proc/self/statm")?.split(separator: " ").dropFirst().first.flatMap { UInt64($0) }
        return (seconds + micros / 1e6, (pages ?? 0) * UInt64(sysconf(Int32(_SC_PAGESIZE))))
    }

    /// CPU time of the calling thread.
    static func threadSeconds() -> Double {
        var usage = rusage()
        // RUSAGE_THREAD, which Swift's Glibc does not show.
        guard getrusage(__rusage_who_t(1), &usage) == 0 else { return 0 }
        let seconds = Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
        return seconds + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
    }
}
