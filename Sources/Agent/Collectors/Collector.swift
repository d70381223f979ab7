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
    /// Counts ticks from 0.
    var number: Int

    /// Whether things that hardly change (limits, file systems) are read again: at the first tick and every 15th.
    var isSlow: Bool { number % 15 == 0 }

    /// The time of the samples.
    var milliseconds: Int64 { nanoseconds / 1_000_000 }

    /// Tick `number` at a time.
    init(nanoseconds: Int64, number: Int) {
        self.nanoseconds = nanoseconds
        self.number = number
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
    var buffer = ReadBuffer()

    /// A context for one thread.
    init(
        host: HostRoot, layout: CgroupLayout, node: String, notices: Notices, counters: EventCounters,
        statistics: @escaping (String) -> FilesystemStatistics? = FilesystemStatistics.ofSystem
    ) {
        self.host = host
        self.layout = layout
        self.node = node
        self.notices = notices
        self.counters = counters
        self.statistics = statistics
    }

    /// Opens a host file; nil when it is not there.
    func open(_ path: String) -> KernelFile? { KernelFile(host.path(path)) }

    /// Reads a file the kernel prints at once, such as those of a cgroup.
    func read<Result>(_ file: KernelFile, _ body: (UnsafeRawBufferPointer) -> Result?) -> Result? {
        file.read(into: &buffer, isPrintedAtOnce: true, body)
    }

    /// Reads a file the kernel prints in records.
    func readRecords<Result>(_ file: KernelFile, _ body: (UnsafeRawBufferPointer) -> Result?) -> Result? {
        file.read(into: &buffer, body)
    }

    /// The first number of a file; nil when it has none ("max", for example).
    func number(_ file: KernelFile) -> UInt64? {
        read(file) { bytes in
            var scanner = FieldScanner(bytes)
            return scanner.unsigned()
        }
    }
}
