/// Packets that each processor took from network cards: /proc/net/softnet_stat, hexadecimal.
final class HostSoftnetCollector: Collector {
    private static let metrics: [(column: Int, metric: Metric)] = [
        (0, .counter("node_softnet_processed_total", "Number of processed packets.")),
        (1, .counter("node_softnet_dropped_total", "Number of dropped packets.")),
        (2, .counter("node_softnet_times_squeezed_total", "Number of times processing packets ran out of quota.")),
        (
            8,
            .counter(
                "node_softnet_cpu_collision_total",
                "Number of collision occur while obtaining device lock while transmitting.")
        ),
        (9, .counter("node_softnet_received_rps_total", "Number of times cpu woken up received_rps.")),
        (10, .counter("node_softnet_flow_limit_count_total", "Number of times flow limit has been reached.")),
        (11, .gauge("node_softnet_backlog_len", "Softnet backlog status.")),
    ]

    private let context: CollectionContext
    private let file: KernelFile
    private var processors: [[TargetSamples.Slot]] = []

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        guard let file = context.openNetwork("softnet_stat") else { return nil }
        self.context = context
        self.file = file
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        _ = context.readRecords(file) { bytes -> Bool? in
            var scanner = FieldScanner(bytes)
            var line = 0
            repeat {
                var columns = InlineArray<16, UInt64>(repeating: 0)
                var count = 0
                while count < 16, let word = scanner.word() {
                    columns[count] = FieldScanner.hexadecimal(word) ?? 0
                    count += 1
                }
                guard count > 2 else { continue }
                // Kernels since 5.14 print the processor; before, offline ones had no line.
                let slots = slots(line, count > 12 ? columns[12] : UInt64(line), samples)
                for (slot, (column, _)) in zip(slots, Self.metrics) where column < count {
                    samples.set(slot, columns[column])
                }
                line += 1
            } while scanner.nextLine()
            return true
        }
    }

    private func slots(_ line: Int, _ processor: UInt64, _ samples: TargetSamples) -> [TargetSamples.Slot] {
        if line >= processors.count {
            processors.append(Self.metrics.map { samples.slot($0.metric, ("cpu", String(processor))) })
        }
        return processors[line]
    }
}
