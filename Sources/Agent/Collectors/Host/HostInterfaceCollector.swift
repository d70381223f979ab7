/// What kind of thing each network interface of the host is, and whether it is up: /sys/class/net. Slow lane.
final class HostInterfaceCollector: Collector {
    private enum Notation {
        case decimal
        case hexadecimal
    }

    /// Files of an interface's folder, with how their number is written and the metric it becomes.
    private static let numbers: [(file: String, notation: Notation, name: String, isCounter: Bool)] = [
        ("addr_assign_type", .decimal, "address_assign_type", false), ("carrier", .decimal, "carrier", false),
        ("carrier_changes", .decimal, "carrier_changes_total", true),
        ("carrier_up_count", .decimal, "carrier_up_changes_total", true),
        ("carrier_down_count", .decimal, "carrier_down_changes_total", true),
        ("dev_id", .hexadecimal, "device_id", false), ("dormant", .decimal, "dormant", false),
        ("flags", .hexadecimal, "flags", false), ("ifindex", .decimal, "iface_id", false),
        ("iflink", .decimal, "iface_link", false), ("link_mode", .decimal, "iface_link_mode", false),
        ("mtu", .decimal, "mtu_bytes", false), ("name_assign_type", .decimal, "name_assign_type", false),
        ("netdev_group", .decimal, "net_dev_group", false), ("tx_queue_len", .decimal, "transmit_queue_length", false),
        ("type", .decimal, "protocol_type", false),
    ]
    private static let information = Metric.gauge(
        "node_network_info", "Non-numeric data from /sys/class/net/<iface>, value is always 1.")
    private static let isUp = Metric.gauge("node_network_up", "Value is 1 if operstate is 'up', 0 otherwise.")
    private static let speed = Metric.gauge("node_network_speed_bytes", "Network device property: speed_bytes")
    private static let unhandled = Metric.counter(
        "node_network_receive_nohandler_total", "Network device statistic receive_nohandler.")
    private static let folder = "/sys/class/net"
    private static let interfacesMaximum = 256

    private let context: CollectionContext

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        guard context.host.names(Self.folder) != nil else { return nil }
        self.context = context
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        // One end of each container's cable is left out, as in /proc/net/dev.
        let names = (context.host.names(Self.folder) ?? []).filter { !$0.hasPrefix("veth") && $0 != "bonding_masters" }
        for name in names.prefix(Self.interfacesMaximum) { collect(name, samples) }
    }

    private func collect(_ name: String, _ samples: TargetSamples) {
        let state = context.line("\(Self.folder)/\(name)/operstate") ?? ""
        guard !state.isEmpty else { return }
        let device = ("device", name)
        samples.set(samples.slot(Self.isUp, device), state == "up" ? 1 : 0 as Double)
        var flags: Int?
        for (file, notation, metric, isCounter) in Self.numbers {
            guard let text = context.line("\(Self.folder)/\(name)/\(file)"),
                let value = notation == .decimal ? Int(text) : Int(text.dropFirst(2), radix: 16)
            else { continue }
            if file == "flags" { flags = value }
            let help = "Network device property: \(metric)"
            let full = "node_network_\(metric)"
            samples.set(
                samples.slot(isCounter ? .counter(full, help) : .gauge(full, help), device), Double(value))
        }
        // Some devices say -1 for a speed they do not know, which node_exporter turns into a negative one.
        if let megabits = context.line("\(Self.folder)/\(name)/speed").flatMap({ Int($0) }) {
            samples.set(samples.slot(Self.speed, device), Double(megabits * 125_000))
        }
        if let count = context.line("\(Self.folder)/\(name)/statistics/rx_nohandler").flatMap({ UInt64($0) }) {
            samples.set(samples.slot(Self.unhandled, device), count)
        }
        let labels = [
            device, ("address", text(name, "address")), ("broadcast", text(name, "broadcast")),
            ("duplex", text(name, "duplex")), ("ifalias", text(name, "ifalias")), ("operstate", state),
            ("adminstate", flags.map { $0 & 1 == 1 ? "up" : "down" } ?? "unknown"),
        ]
        samples.set(samples.slot(Self.information, labels), 1 as Double)
    }

    private func text(_ name: String, _ file: String) -> String {
        context.line("\(Self.folder)/\(name)/\(file)") ?? ""
    }
}
