/// Bonded network interfaces: how many slaves each has, and how many of them are up. Slow lane.
final class HostBondingCollector: Collector {
    private static let folder = "/sys/class/net"
    private static let slaves = Metric.gauge(
        "node_bonding_slaves", "Number of configured slaves per bonding interface.")
    private static let active = Metric.gauge("node_bonding_active", "Number of active slaves per bonding interface.")

    private let context: CollectionContext

    /// Made wherever there are interfaces: the kernel's module may be loaded later.
    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        guard context.host.names(Self.folder) != nil else { return nil }
        self.context = context
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        for master in (context.line("\(Self.folder)/bonding_masters") ?? "").split(separator: " ") {
            guard let list = context.line("\(Self.folder)/\(master)/bonding/slaves") else { continue }
            let slaves = list.split(separator: " ")
            let active = slaves.count { slave in
                // Kernels before 3.19 have another prefix.
                ["lower_", "slave_"].contains {
                    context.line("\(Self.folder)/\(master)/\($0)\(slave)/bonding_slave/mii_status") == "up"
                }
            }
            samples.set(samples.slot(Self.slaves, ("master", String(master))), Double(slaves.count))
            samples.set(samples.slot(Self.active, ("master", String(master))), Double(active))
        }
    }
}
