internal import Glibc

/// What machine this is: kernel, processors, memory. Slow lane.
final class HostIdentityCollector: Collector {
    private let context: CollectionContext
    private let identity: TargetSamples.Slot
    private let counts: [(slot: TargetSamples.Slot, value: Double)]

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        self.context = context
        let host = context.host
        func kernel(_ name: String) -> String { context.line("/proc/sys/kernel/\(name)") ?? "" }
        identity = samples.slot(
            .gauge("node_uname_info", "Labeled system information as provided by the uname system call."),
            ("sysname", kernel("ostype")), ("release", kernel("osrelease")), ("version", kernel("version")),
            ("nodename", kernel("hostname")), ("domainname", kernel("domainname")),
            ("machine", host.isMachine ? Self.architecture : ""))
        let labels = [
            ("machine_id", context.line("/etc/machine-id") ?? context.line("/var/lib/dbus/machine-id") ?? ""),
            ("system_uuid", context.line("/sys/class/dmi/id/product_uuid") ?? ""),
            ("boot_id", kernel("random/boot_id")),
        ]
        let memory = Self.kilobytes(host.text("/proc/meminfo") ?? "")
        let processors = Self.processors(context)
        let values: [(Metric, Int)] = [
            (.gauge("machine_cpu_cores", "Number of logical CPU cores."), processors.logical),
            (.gauge("machine_cpu_physical_cores", "Number of physical CPU cores."), processors.cores),
            (.gauge("machine_cpu_sockets", "Number of CPU sockets."), processors.sockets),
            (.gauge("machine_memory_bytes", "Amount of memory installed on the machine."), memory["MemTotal"] ?? 0),
            (
                .gauge("machine_swap_bytes", "Amount of swap memory available on the machine."),
                memory["SwapTotal"] ?? -1
            ),
        ]
        // A machine has at least one of each, but swap.
        counts = values.filter { $1 > 0 || $0.name == "machine_swap_bytes" && $1 == 0 }.map {
            (samples.slot($0, labels), Double($1))
        }
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        samples.set(identity, 1 as Double)
        for count in counts { samples.set(count.slot, count.value) }
    }

    /// As `uname -m` says it; /proc does not.
    private static let architecture: String = {
        var answer = utsname()
        guard uname(&answer) == 0 else { return "" }
        return withUnsafeBytes(of: &answer.machine) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }()

    /// Sizes of a text in the manner of meminfo, in bytes.
    private static func kilobytes(_ text: String) -> [Substring: Int] {
        var sizes: [Substring: Int] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count > 1, let value = Int(words[1]) else { continue }
            sizes[words[0].dropLast()] = value * 1024
        }
        return sizes
    }

    /// From the topology of those processors that are online; 0 where the host does not tell.
    private static func processors(_ context: CollectionContext) -> (logical: Int, cores: Int, sockets: Int) {
        let logical = (context.host.text("/proc/stat", limit: 8 << 20) ?? "").split(separator: "\n").count {
            $0.hasPrefix("cpu") && !$0.hasPrefix("cpu ")
        }
        var cores: Set<String> = []
        var sockets: Set<String> = []
        let folder = "/sys/devices/system/cpu"
        for name in context.host.folderNames(folder) ?? [] where Int(name.dropFirst(3)) != nil {
            guard name.hasPrefix("cpu"), let core = context.line("\(folder)/\(name)/topology/core_id") else { continue }
            let socket = context.line("\(folder)/\(name)/topology/physical_package_id") ?? "0"
            cores.insert("\(socket)/\(core)")
            sockets.insert(socket)
        }
        return (logical, cores.count, sockets.count)
    }
}
