internal import Glibc

/// Open files and sockets of a container's processes, and the limit on open files of its first. Slow lane: every
/// descriptor has to be looked at, which cAdvisor does at each sample.
final class ContainerProcessCollector: Collector {
    private static let descriptors = Metric.gauge(
        "container_file_descriptors", "Number of open file descriptors for the container.")
    private static let sockets = Metric.gauge("container_sockets", "Number of open sockets for the container.")
    private static let limits = Metric.gauge(
        "container_ulimits_soft",
        "Soft ulimit values for the container root process. Unlimited if -1, except priority and nice.")
    private static let processesMaximum = 512
    /// With more descriptors they are counted, and not told apart.
    private static let linksMaximum = 4_096

    private let context: CollectionContext
    private let members: KernelFile
    private let slots: [TargetSamples.Slot]

    init?(_ context: ContainerContext, _ samples: TargetSamples) {
        guard
            let members = context.legacy(.pids, "cgroup.procs") ?? context.unified("cgroup.procs")
                ?? context.legacy(.memory, "cgroup.procs")
        else { return nil }
        self.context = context.collection
        self.members = members
        slots = [
            samples.slot(Self.descriptors), samples.slot(Self.sockets),
            samples.slot(Self.limits, ("ulimit", "max_open_files")),
        ]
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        let processes = context.identifiers(members, maximum: Self.processesMaximum)
        guard let first = processes.first else { return }
        var (open, sockets, links) = (0, 0, Self.linksMaximum)
        var isReadable = false
        for process in processes {
            guard let count = count(process, &sockets, &links) else { continue }
            isReadable = true
            open += count
        }
        if isReadable {
            samples.set(slots[0], Double(open))
            if links >= 0 { samples.set(slots[1], Double(sockets)) }
        }
        if let limit = limit(first) { samples.set(slots[2], limit) }
    }

    /// The descriptors of a process; `links` counts down those that may still be told apart, below 0 when there were
    /// more. Nil when the process is gone or its descriptors may not be listed.
    private func count(_ process: Int32, _ sockets: inout Int, _ links: inout Int) -> Int? {
        guard let folder = opendir(context.host.path("/proc/\(process)/fd")) else { return nil }
        defer { closedir(folder) }
        let descriptor = dirfd(folder)
        var count = 0
        while let entry = readdir(folder) {
            let isSocket: Bool? = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { name in
                    guard name.pointee != CChar(bitPattern: UInt8(ascii: ".")) else { return nil }
                    guard links > 0 else { return false }
                    return withUnsafeTemporaryAllocation(byteCount: 16, alignment: 1) { raw in
                        guard let base = raw.baseAddress else { return false }
                        let length = readlinkat(descriptor, name, base, raw.count)
                        return length >= 7 && raw.prefix(7).elementsEqual("socket:".utf8)
                    }
                }
            }
            guard let isSocket else { continue }
            count += 1
            links -= 1
            if isSocket { sockets += 1 }
        }
        return count
    }

    /// `Max open files            1024                 524288               files`.
    private func limit(_ process: Int32) -> Double? {
        context.once("/proc/\(process)/limits") { bytes in
            var scanner = FieldScanner(bytes)
            repeat {
                guard scanner.word()?.elementsEqual("Max".utf8) == true,
                    scanner.word()?.elementsEqual("open".utf8) == true, scanner.word() != nil,
                    let soft = scanner.word()
                else { continue }
                return FieldScanner.unsigned(soft).map { Double($0) } ?? -1
            } while scanner.nextLine()
            return nil
        }
    }
}
