/// What machine this is: kernel, processors, memory, open file limits.
final class HostIdentityCollector: Collector {
    private let context: CollectionContext
    private let files: KernelFile?
    private let identity: TargetSamples.Slot
    private let counts: [(slot: TargetSamples.Slot, value: Double)]
    private let openFiles: [TargetSamples.Slot]

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        self.context = context
        let host = context.host
        func kernel(_ name: String) -> String {
            let text = host.text("/proc/sys/kernel/\(name)") ?? ""
            return String(text.prefix { $0 != "\n" })
        }
        identity = samples.slot(
            .gauge("node_uname_info", "Labeled system information as provided by the uname system call."),
            ("sysname", kernel("ostype")), ("release", kernel("osrelease")), ("version", kernel("version")),
            ("nodename", kernel("hostname")), ("domainname", kernel("domainname")))
        let processors = (host.text("/proc/stat", limit: 8 << 20) ?? "").split(separator: "\n").count {
            $0.hasPrefix("cpu") && !$0.hasPrefix("cpu ")
        }
        let memory = (host.text("/proc/meminfo") ?? "").split(separator: "\n").first { $0.hasPrefix("MemTotal:") }
        let kilobytes = memory?.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? 0
        counts = [
            (samples.slot(.gauge("machine_cpu_cores", "Number of logical CPU cores.")), Double(processors)),
            (samples.slot(.gauge("machine_memory_bytes", "Memory installed on the machine.")), kilobytes * 1024),
        ]
        files = context.open("/proc/sys/fs/file-nr")
        openFiles = [
            samples.slot(.gauge("node_filefd_allocated", "File descriptor statistics: allocated.")),
            samples.slot(.gauge("node_filefd_maximum", "File descriptor statistics: maximum.")),
        ]
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        samples.set(identity, 1 as Double)
        for count in counts where count.value > 0 { samples.set(count.slot, count.value) }
        guard let files else { return }
        _ = context.read(files) { bytes -> Bool? in
            var scanner = FieldScanner(bytes)
            guard let allocated = scanner.unsigned(), scanner.word() != nil, let maximum = scanner.unsigned() else {
                return nil
            }
            samples.set(openFiles[0], allocated)
            samples.set(openFiles[1], maximum)
            return true
        }
    }
}
