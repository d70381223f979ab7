/// The host's network interfaces: /proc/net/dev under node_exporter's names.
final class HostNetworkCollector: Collector {
    private static let columns = ["bytes", "packets", "errs", "drop", "fifo", "frame", "compressed", "multicast"]
    private static let transmitColumns = ["bytes", "packets", "errs", "drop", "fifo", "colls", "carrier", "compressed"]

    private let context: CollectionContext
    private let file: KernelFile
    private var interfaces = SlotsByName<[TargetSamples.Slot]>()

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        guard let file = context.openNetwork("dev") else { return nil }
        self.context = context
        self.file = file
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        NetworkTable.read(file, context) { name, values in
            // A host of many containers has as many veth pairs; their traffic is counted in the containers.
            guard !name.starts(with: "veth".utf8), let slots = slots(name, samples) else { return }
            for (index, slot) in slots.enumerated() { samples.set(slot, values[index]) }
        }
    }

    private func slots(_ name: UnsafeRawBufferPointer, _ samples: TargetSamples) -> [TargetSamples.Slot]? {
        interfaces.slots(for: name) { text in
            [("receive", Self.columns), ("transmit", Self.transmitColumns)].flatMap { direction, columns in
                columns.map { column in
                    samples.slot(
                        .counter(
                            "node_network_\(direction)_\(column)_total",
                            "Network device statistic \(direction)_\(column)."),
                        ("device", text))
                }
            }
        }
    }
}
