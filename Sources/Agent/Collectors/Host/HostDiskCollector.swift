/// The host's block devices: /proc/diskstats under node_exporter's names.
final class HostDiskCollector: Collector {
    /// Columns of diskstats behind the name, with how many of its units make one of the metric's.
    private static let columns: [(column: Int, unitsPerOne: Double, metric: Metric)] = [
        (0, 1, .counter("node_disk_reads_completed_total", "The total number of reads completed successfully.")),
        (1, 1, .counter("node_disk_reads_merged_total", "The total number of reads merged.")),
        (2, 1.0 / 512, .counter("node_disk_read_bytes_total", "The total number of bytes read successfully.")),
        (3, 1e3, .counter("node_disk_read_time_seconds_total", "The total number of seconds spent by all reads.")),
        (4, 1, .counter("node_disk_writes_completed_total", "The total number of writes completed successfully.")),
        (5, 1, .counter("node_disk_writes_merged_total", "The number of writes merged.")),
        (6, 1.0 / 512, .counter("node_disk_written_bytes_total", "The total number of bytes written successfully.")),
        (7, 1e3, .counter("node_disk_write_time_seconds_total", "The total number of seconds spent by all writes.")),
        (8, 1, .gauge("node_disk_io_now", "The number of I/Os currently in progress.")),
        (9, 1e3, .counter("node_disk_io_time_seconds_total", "Total seconds spent doing I/Os.")),
        (10, 1e3, .counter("node_disk_io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os.")),
        // Since Linux 4.18; a slot without a column has no sample.
        (11, 1, .counter("node_disk_discards_completed_total", "The total number of discards completed successfully.")),
        (12, 1, .counter("node_disk_discards_merged_total", "The total number of discards merged.")),
        (13, 1, .counter("node_disk_discarded_sectors_total", "The total number of sectors discarded successfully.")),
        (
            14, 1e3,
            .counter(
                "node_disk_discard_time_seconds_total", "This is the total number of seconds spent by all discards.")
        ),
        // Since Linux 5.5.
        (
            15, 1,
            .counter(
                "node_disk_flush_requests_total", "The total number of flush requests completed successfully")
        ),
        (
            16, 1e3,
            .counter(
                "node_disk_flush_requests_time_seconds_total",
                "This is the total number of seconds spent by all flush requests.")
        ),
    ]

    private let context: CollectionContext
    private let file: KernelFile
    private var devices = SlotsByName<[TargetSamples.Slot]>()

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        guard let file = context.open("/proc/diskstats") else { return nil }
        self.context = context
        self.file = file
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        _ = context.readRecords(file) { bytes -> Bool? in
            var scanner = FieldScanner(bytes)
            repeat {
                guard scanner.word() != nil, scanner.word() != nil, let name = scanner.word(), !Self.isIgnored(name),
                    let slots = slots(name, samples)
                else { continue }
                for (slot, column) in zip(slots, Self.columns) {
                    guard let value = scanner.unsigned() else { break }
                    samples.set(slot, Double(value) / column.unitsPerOne)
                }
            } while scanner.nextLine()
            return true
        }
    }

    private func slots(_ name: UnsafeRawBufferPointer, _ samples: TargetSamples) -> [TargetSamples.Slot]? {
        devices.slots(for: name) { text in Self.columns.map { samples.slot($0.metric, ("device", text)) } }
    }

    /// node_exporter's default, `^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\\d+n\\d+p)\\d+$`: partitions, loops and such.
    static func isIgnored(_ name: UnsafeRawBufferPointer) -> Bool {
        var stem = name
        while let last = stem.last, last >= 0x30, last <= 0x39 {
            stem = UnsafeRawBufferPointer(rebasing: stem.dropLast())
        }
        guard stem.count < name.count else { return false }
        for kind in ["ram", "zram", "loop", "fd"] where stem.elementsEqual(kind.utf8) { return true }
        if let letter = stem.last, letter >= 0x61, letter <= 0x7a {
            for kind in ["hd", "sd", "vd", "xvd"] {
                if stem.count == kind.utf8.count + 1, stem.starts(with: kind.utf8) { return true }
            }
        }
        return stem.starts(with: "nvme".utf8) && stem.last == UInt8(ascii: "p")
    }
}
