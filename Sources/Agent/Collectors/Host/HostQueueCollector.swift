/// Bytes that wait in the queues of all UDP sockets: /proc/net/udp and udp6. Slow lane, because the kernel prints a
/// line for every socket.
final class HostQueueCollector: Collector {
    private static let metric = Metric.gauge(
        "node_udp_queues", "Number of allocated memory in the kernel for UDP datagrams in bytes.")

    private let context: CollectionContext
    private let tables: [(file: KernelFile, transmit: TargetSamples.Slot, receive: TargetSamples.Slot)]

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        self.context = context
        tables = [("udp", "v4"), ("udp6", "v6")].compactMap { name, version in
            context.openNetwork(name).map { file in
                (
                    file, samples.slot(Self.metric, ("ip", version), ("queue", "tx")),
                    samples.slot(Self.metric, ("ip", version), ("queue", "rx"))
                )
            }
        }
        guard !tables.isEmpty else { return nil }
    }

    /// The fifth column is `transmit:receive`, hexadecimal.
    func collect(_ tick: Tick, into samples: TargetSamples) {
        for (file, transmit, receive) in tables {
            var sums: (UInt64, UInt64) = (0, 0)
            let isRead = context.readRecords(file) { bytes -> Bool? in
                var scanner = FieldScanner(bytes)
                while scanner.nextLine() {
                    for _ in 0..<4 { _ = scanner.word() }
                    guard let queues = scanner.word(), let colon = queues.firstIndex(of: UInt8(ascii: ":")) else {
                        continue
                    }
                    sums.0 &+= FieldScanner.hexadecimal(UnsafeRawBufferPointer(rebasing: queues[..<colon])) ?? 0
                    sums.1 &+= FieldScanner.hexadecimal(UnsafeRawBufferPointer(rebasing: queues[(colon + 1)...])) ?? 0
                }
                return true
            }
            guard isRead != nil else { continue }
            samples.set(transmit, sums.0)
            samples.set(receive, sums.1)
        }
    }
}
