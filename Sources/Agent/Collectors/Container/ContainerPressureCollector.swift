/// Pressure stall times of a container: v2's *.pressure files, which also exist beside v1 controllers (hybrid).
final class ContainerPressureCollector: Collector {
    private let context: CollectionContext
    private var readers: [PressureReader]

    init?(_ context: ContainerContext, _ samples: TargetSamples) {
        self.context = context.collection
        readers = ["cpu", "memory", "io"].compactMap { resource in
            guard let file = context.unified("\(resource).pressure") else { return nil }
            return PressureReader(
                file: file,
                waiting: samples.slot(
                    .counter(
                        "container_pressure_\(resource)_waiting_seconds_total",
                        "Time tasks in the container have waited due to \(resource) congestion.")),
                stalled: samples.slot(
                    .counter(
                        "container_pressure_\(resource)_stalled_seconds_total",
                        "Time no task in the container could make progress due to \(resource) congestion.")))
        }
        guard !readers.isEmpty else { return nil }
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        for reader in readers { reader.collect(context, into: samples) }
    }
}

/// Reads the totals (µs) of one file of pressure stall information (Documentation/accounting/psi.rst).
struct PressureReader {
    let file: KernelFile
    /// For the `some` line; nil where it is not wanted.
    let waiting: TargetSamples.Slot?
    /// For the `full` line; nil where it is not wanted.
    let stalled: TargetSamples.Slot?

    /// Sets what the file has.
    func collect(_ context: CollectionContext, into samples: TargetSamples) {
        _ = context.read(file) { bytes -> Bool? in
            var scanner = FieldScanner(bytes)
            repeat {
                guard let kind = scanner.word(), let total = Self.total(&scanner) else { continue }
                let slot = kind.first == UInt8(ascii: "s") ? waiting : stalled
                if let slot { samples.set(slot, Double(total) / 1e6) }
            } while scanner.nextLine()
            return true
        }
    }

    private static func total(_ scanner: inout FieldScanner) -> UInt64? {
        while let word = scanner.word() {
            guard word.count > 6, word.starts(with: "total=".utf8) else { continue }
            return FieldScanner.unsigned(UnsafeRawBufferPointer(rebasing: word[6...]))
        }
        return nil
    }
}
