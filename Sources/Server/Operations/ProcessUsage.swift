internal import Glibc

/// What the kernel says about this process (proc(5): statm, stat; getrusage(2)).
struct ProcessUsage: Sendable {
    var residentBytes = 0
    var virtualBytes = 0
    var processorSeconds = 0.0
    var openDescriptors = 0
    var descriptorsMaximum = 0
    var threads = 0

    /// Reads it now. These files are made by the kernel in memory: nothing here waits for a disk.
    static func read() -> ProcessUsage {
        var usage = ProcessUsage()
        (usage.virtualBytes, usage.residentBytes) = memory
        var times = rusage()
        if getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &times) == 0 {
            usage.processorSeconds = seconds(times.ru_utime) + seconds(times.ru_stime)
        }
        usage.openDescriptors = entries(of: "/proc/self/fd")
        usage.threads = entries(of: "/proc/self/task")
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            usage.descriptorsMaximum = Int(clamping: limit.rlim_cur)
        }
        return usage
    }

    /// The resident memory alone, for who looks often.
    static var residentBytes: Int { memory.resident }

    private static var memory: (virtual: Int, resident: Int) {
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let pages = text(of: "/proc/self/statm").split(separator: " ").prefix(2).map { Int($0) ?? 0 }
        return pages.count == 2 ? (pages[0] * page, pages[1] * page) : (0, 0)
    }

    /// The folder the process runs in, empty where it is gone.
    static var workingFolder: String {
        guard let path = getcwd(nil, 0) else { return "" }
        defer { free(path) }
        return String(cString: path)
    }

    /// The name of this machine.
    static var hostName: String {
        var bytes = [CChar](repeating: 0, count: 256)
        guard gethostname(&bytes, bytes.count) == 0 else { return "" }
        return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// How many processors the process may use.
    static var processorCount: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

    private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }

    private static func text(of path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }

    private static func entries(of path: String) -> Int {
        guard let folder = opendir(path) else { return 0 }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        // Without "." and "..".
        return max(0, count - 2)
    }
}
