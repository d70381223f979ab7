/// The kernel's table of tracked connections: how full it is, and what became of lookups.
final class HostConnectionTrackingCollector: Collector {
    /// Columns of /proc/net/stat/nf_conntrack by their names in its first line.
    private static let columns: [(name: String, metric: String, help: String)] = [
        ("found", "found", "Number of searched entries which were successful."),
        ("invalid", "invalid", "Number of packets seen which can not be tracked."),
        ("ignore", "ignore", "Number of packets seen which are already connected to a conntrack entry."),
        ("insert", "insert", "Number of entries inserted into the list."),
        ("insert_failed", "insert_failed", "Number of entries for which list insertion was attempted but failed."),
        ("drop", "drop", "Number of packets dropped due to conntrack failure."),
        ("early_drop", "early_drop", "Number of dropped conntrack entries to make room for new ones."),
        (
            "search_restart", "search_restart",
            "Number of conntrack table lookups which had to be restarted due to hashtable resizes."
        ),
    ]

    private let context: CollectionContext
    private let numbers: [(file: KernelFile, slot: TargetSamples.Slot)]
    private let statistics: KernelFile?
    private let slots: [TargetSamples.Slot]
    /// For each column of the file, which of the series it belongs to.
    private var places: [Int?] = []

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        self.context = context
        let names: [(String, Metric)] = [
            (
                "nf_conntrack_count",
                .gauge(
                    "node_nf_conntrack_entries", "Number of currently allocated flow entries for connection tracking.")
            ),
            (
                "nf_conntrack_max",
                .gauge(
                    "node_nf_conntrack_entries_limit", "Maximum size of connection tracking table.")
            ),
        ]
        numbers = names.compactMap { name, metric in
            context.open("/proc/sys/net/netfilter/\(name)").map { ($0, samples.slot(metric)) }
        }
        guard !numbers.isEmpty else { return nil }
        statistics = context.openNetwork("stat/nf_conntrack")
        slots = Self.columns.map { samples.slot(.gauge("node_nf_conntrack_stat_\($0.metric)", $0.help)) }
        guard let statistics else { return }
        places =
            context.readRecords(statistics) { bytes -> [Int?]? in
                var scanner = FieldScanner(bytes)
                var places: [Int?] = []
                while let name = scanner.text() { places.append(Self.columns.firstIndex { $0.name == name }) }
                return places
            } ?? []
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        for (file, slot) in numbers {
            if let value = context.number(file) { samples.set(slot, value) }
        }
        guard let statistics, !places.isEmpty else { return }
        var sums = InlineArray<8, UInt64>(repeating: 0)
        let isRead = context.readRecords(statistics) { bytes -> Bool? in
            var scanner = FieldScanner(bytes)
            // One line per processor, hexadecimal.
            while scanner.nextLine() {
                for place in places {
                    guard let word = scanner.word() else { break }
                    if let place { sums[place] &+= FieldScanner.hexadecimal(word) ?? 0 }
                }
            }
            return true
        }
        guard isRead != nil else { return }
        for index in slots.indices { samples.set(slots[index], sums[index]) }
    }
}
