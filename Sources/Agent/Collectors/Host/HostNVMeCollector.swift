/// NVMe controllers and their namespaces: /sys/class/nvme. Slow lane.
final class HostNVMeCollector: Collector {
    private static let folder = "/sys/class/nvme"
    private static let information = Metric.gauge(
        "node_nvme_info", "Non-numeric data from /sys/class/nvme/<device>, value is always 1.")
    private static let namespace = Metric.gauge(
        "node_nvme_namespace_info", "Information about NVMe namespaces. Value is always 1")
    private static let capacity = Metric.gauge(
        "node_nvme_namespace_capacity_bytes", "Capacity of the NVMe namespace in bytes.")
    private static let size = Metric.gauge("node_nvme_namespace_size_bytes", "Size of the NVMe namespace in bytes.")
    private static let used = Metric.gauge(
        "node_nvme_namespace_used_bytes", "Used space of the NVMe namespace in bytes.")
    private static let block = Metric.gauge(
        "node_nvme_namespace_logical_block_size_bytes", "Logical block size of the NVMe namespace in bytes.")

    private let context: CollectionContext

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        guard context.host.names(Self.folder)?.isEmpty == false else { return nil }
        self.context = context
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        for device in context.host.names(Self.folder) ?? [] {
            let path = "\(Self.folder)/\(device)"
            func text(_ file: String) -> String { context.line("\(path)/\(file)") ?? "" }
            let labels = [
                ("device", device), ("firmware_revision", text("firmware_rev")), ("model", text("model")),
                ("serial", text("serial")), ("state", text("state")), ("cntlid", text("cntlid")),
            ]
            samples.set(samples.slot(Self.information, labels), 1 as Double)
            for name in context.host.names(path) ?? [] { collect(name, of: device, at: "\(path)/\(name)", samples) }
        }
    }

    /// Namespaces are named `nvme0n1`, or `nvme0c0n1` where a controller is one of several ways to them.
    private func collect(_ name: String, of device: String, at path: String, _ samples: TargetSamples) {
        guard name.hasPrefix(device), let end = name.lastIndex(of: "n"), end > name.startIndex,
            let number = Int(name[name.index(after: end)...]),
            let sectors = context.line("\(path)/size").flatMap({ UInt64($0) })
        else { return }
        let labels = [("device", device), ("nsid", String(number))]
        let state = context.line("\(path)/ana_state") ?? "unknown"
        samples.set(samples.slot(Self.namespace, labels + [("ana_state", state)]), 1 as Double)
        let blockBytes = context.line("\(path)/queue/logical_block_size").flatMap { UInt64($0) } ?? 512
        // The kernel counts sizes in sectors of 512 bytes, whatever a block is.
        samples.set(samples.slot(Self.size, labels), sectors * 512)
        samples.set(samples.slot(Self.capacity, labels), sectors * 512)
        samples.set(samples.slot(Self.block, labels), blockBytes)
        if let blocks = context.line("\(path)/nuse").flatMap({ UInt64($0) }) {
            samples.set(samples.slot(Self.used, labels), blocks * blockBytes)
        }
    }
}
