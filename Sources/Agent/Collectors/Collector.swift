internal import Telemetry

/// Port: reads one kind of thing about one target (the host, or one container) at each tick.
///
/// A collector opens its files and declares its series once, when it is made; a tick only reads, parses in place and
/// sets values. What is not there (an older kernel, a controller that is off) is no error: its series are not set.
protocol Collector: AnyObject {
    /// Reads the sources and sets the values found.
    func collect(_ tick: Tick, into samples: TargetSamples)
}

/// One moment of collection.
struct Tick: Sendable {
    /// The wall clock, which stamps the samples.
    var nanoseconds: Int64
    /// Counts intervals from 0; where ticks are spared, it still counts all of them.
    var number: Int

    /// The time of the samples.
    var milliseconds: Int64 { nanoseconds / 1_000_000 }

    /// Tick `number` at a time.
    init(nanoseconds: Int64, number: Int) {
        self.nanoseconds = nanoseconds
        self.number = number
    }
}

/// Says when something comes round that is not done at each tick: at the first one, then once in `every` intervals.
///
/// Rhythms with different phases come round at different ticks, so that what is dear for one container is not done for
/// all of them in the same second.
struct Rhythm: Sendable {
    private let every: Int
    private let phase: Int
    private var last: Int?
    private var isSettled = false

    /// Comes round once in `every` intervals.
    init(every: Int, phase: Int = 0) {
        self.every = every
        self.phase = phase % every
    }

    /// Whether it comes round at tick `number`; if so, that is noted.
    mutating func isDue(at number: Int) -> Bool {
        guard let last else {
            self.last = number
            return true
        }
        // The second round comes earlier than the others, by the phase.
        guard number - last >= (isSettled ? every : every - phase) || number < last else { return false }
        note(number)
        return true
    }

    /// It was done at tick `number`, for whatever reason.
    mutating func note(_ number: Int) {
        isSettled = last != nil
        last = number
    }
}

/// A metric's name with what is said about it.
struct Metric: Hashable, Sendable {
    let name: String
    let kind: MetricKind
    let help: String

    /// A metric that only rises.
    static func counter(_ name: String, _ help: String) -> Metric { Metric(name: name, kind: .counter, help: help) }

    /// A metric that goes both ways.
    static func gauge(_ name: String, _ help: String) -> Metric { Metric(name: name, kind: .gauge, help: help) }

    /// A value of which its source does not say whether it only rises.
    static func unknown(_ name: String, _ help: String) -> Metric { Metric(name: name, kind: .unknown, help: help) }

    /// For the server's metadata.
    var metadata: MetricMetadata { MetricMetadata(metricName: name, kind: kind, help: help) }
}

/// What all collectors of one collection thread share: the host, a buffer, and where to complain.
final class CollectionContext {
    let host: HostRoot
    let layout: CgroupLayout
    let node: String
    let notices: Notices
    let counters: EventCounters
    /// Asks a file system for its sizes; a port because a fixture has none.
    let statistics: (String) -> FilesystemStatistics?
    /// When a file was changed last, in seconds since 1970; a port because a fixture is as old as its checkout.
    let modifiedSeconds: (String) -> Int?
    /// The folder of other programs' metrics; nil for none.
    let textfileFolder: String?
    /// What a hypervisor tells; nil where it tells nothing.
    let guest: (any GuestStatistics)?
    /// The units of systemd; nil where there are none.
    let units: (any UnitStates)?
    /// What lives took that ended.
    let lastReadings = LastReadings()
    /// Who sends the numbers of which network namespace.
    let networks: NetworkOwners
    var buffer = ReadBuffer()

    /// The sizes of huge pages that the kernel has, as cgroup files name them: "2MB".
    private(set) lazy var hugePageSizes: [String] = (host.folderNames("/sys/kernel/mm/hugepages") ?? []).compactMap {
        guard $0.hasPrefix("hugepages-"), $0.hasSuffix("kB"), let kilobytes = Int($0.dropFirst(10).dropLast(2)) else {
            return nil
        }
        if kilobytes >= 1 << 20 { return "\(kilobytes >> 20)GB" }
        return kilobytes >= 1 << 10 ? "\(kilobytes >> 10)MB" : "\(kilobytes)KB"
    }

    /// A context for one thread.
    init(
        host: HostRoot, layout: CgroupLayout, node: String, notices: Notices, counters: EventCounters,
        statistics: @escaping (String) -> FilesystemStatistics? = FilesystemStatistics.ofSystem,
        modifiedSeconds: @escaping (String) -> Int? = FileTime.modifiedSeconds, textfileFolder: String? = nil,
        guest: (any GuestStatistics)? = nil,
        units: (any UnitStates)? = nil
    ) {
        self.modifiedSeconds = modifiedSeconds
        self.textfileFolder = textfileFolder
        self.guest = guest
        self.units = units
        self.host = host
        self.layout = layout
        self.node = node
        self.notices = notices
        self.counters = counters
        self.statistics = statistics
        networks = NetworkOwners(host: host)
    }

    /// The host's mounts now: as its first process sees them, else the agent.
    var mounts: [Mount] {
        let text = host.text("/proc/1/mountinfo", limit: 8 << 20) ?? host.text("/proc/self/mountinfo", limit: 8 << 20)
        return MountTable.parse(text ?? "")
    }

    /// Opens a host file; nil when it is not there.
    func open(_ path: String) -> KernelFile? { KernelFile(host.path(path)) }

    /// Opens a file of the host's network: /proc/net is that of the agent, which is the host's unless it runs in a
    /// container, so the first process is asked first.
    func openNetwork(_ name: String) -> KernelFile? { open("/proc/1/net/\(name)") ?? open("/proc/net/\(name)") }

    /// Reads a file the kernel prints at once, such as those of a cgroup.
    func read<Result>(_ file: KernelFile, _ body: (UnsafeRawBufferPointer) -> Result?) -> Result? {
        file.read(into: &buffer, isPrintedAtOnce: true, body)
    }

    /// Reads a file the kernel prints in records.
    func readRecords<Result>(_ file: KernelFile, _ body: (UnsafeRawBufferPointer) -> Result?) -> Result? {
        file.read(into: &buffer, body)
    }

    /// Reads a small file of a process or thread that may be gone next time; it is not kept open.
    func once<Result>(_ path: String, _ body: (UnsafeRawBufferPointer) -> Result?) -> Result? {
        guard let file = open(path) else { return nil }
        return read(file, body)
    }

    /// The first line of a small file without spaces at its ends; nil when it cannot be read.
    func line(_ path: String) -> String? {
        guard let file = open(path) else { return nil }
        return read(file) { bytes in
            let line = bytes.prefix { $0 != UInt8(ascii: "\n") }
            let start = line.drop { $0 == 0x20 }
            let end = start.lastIndex { $0 != 0x20 }.map { $0 + 1 } ?? start.startIndex
            return String(decoding: start[start.startIndex..<end], as: UTF8.self)
        }
    }

    /// The processes or threads that a file of a cgroup lists, at most `maximum`.
    func identifiers(_ file: KernelFile, maximum: Int) -> [Int32] {
        readRecords(file) { bytes -> [Int32]? in
            var scanner = FieldScanner(bytes)
            var numbers: [Int32] = []
            repeat {
                guard let number = scanner.unsigned(), number > 0, numbers.count < maximum else { continue }
                numbers.append(Int32(clamping: number))
            } while scanner.nextLine()
            return numbers
        } ?? []
    }

    /// The first number of a file; nil when it has none ("max", for example).
    func number(_ file: KernelFile) -> UInt64? {
        read(file) { bytes in
            var scanner = FieldScanner(bytes)
            return scanner.unsigned()
        }
    }
}
