/// The host's /proc/meminfo, each line under the name node_exporter gives it.
final class HostMemoryCollector: Collector {
    private let context: CollectionContext
    private let file: KernelFile
    private var fields = SlotsByName<(slot: TargetSamples.Slot, scale: Double)>(maximum: 128)

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        guard let file = context.open("/proc/meminfo") else { return nil }
        self.context = context
        self.file = file
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        _ = context.readRecords(file) { bytes -> Bool? in
            var scanner = FieldScanner(bytes)
            repeat {
                guard let key = scanner.word(), key.last == UInt8(ascii: ":"), let value = scanner.unsigned() else {
                    continue
                }
                let isKilobytes = scanner.word() != nil
                let field = fields.slots(for: key) { name in
                    let metric = Self.metric(name, isKilobytes: isKilobytes)
                    return (samples.slot(metric), isKilobytes ? 1024 : 1)
                }
                if let field { samples.set(field.slot, Double(value) * field.scale) }
            } while scanner.nextLine()
            return true
        }
    }

    /// `Active(anon):` becomes `node_memory_Active_anon_bytes`; plain counts have no unit.
    private static func metric(_ key: String, isKilobytes: Bool) -> Metric {
        let field = key.dropLast()
        let name = String(field.compactMap { $0 == "(" ? "_" : $0 == ")" ? nil : $0 })
        return .gauge("node_memory_\(name)\(isKilobytes ? "_bytes" : "")", "Memory information field \(field).")
    }
}
