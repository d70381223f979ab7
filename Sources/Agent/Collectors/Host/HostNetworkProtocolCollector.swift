/// Counters of the host's network protocols: /proc/net/netstat, snmp and snmp6, node_exporter's default selection.
final class HostNetworkProtocolCollector: Collector {
    /// Which fields are kept of which protocol; `InErrors` and `InErrs` of all are.
    private static let wanted: [String: Set<String>] = [
        "Ip": ["Forwarding"], "Ip6": ["InOctets", "OutOctets"], "IpExt": ["InOctets", "OutOctets"],
        "Icmp": ["InMsgs", "OutMsgs"], "Icmp6": ["InMsgs", "OutMsgs"],
        "TcpExt": ["TCPSynRetrans", "TCPTimeouts", "TCPOFOQueue", "TCPRcvQDrop"],
        "Tcp": [
            "ActiveOpens", "InSegs", "OutSegs", "OutRsts", "PassiveOpens", "RetransSegs", "CurrEstab",
        ],
        "Udp": ["InDatagrams", "OutDatagrams", "NoPorts", "RcvbufErrors", "SndbufErrors"],
        "Udp6": ["InDatagrams", "OutDatagrams", "NoPorts", "RcvbufErrors", "SndbufErrors"],
    ]

    /// A file of pairs of lines: names, then values. The names of a kernel do not change, so they are read once.
    private struct Table {
        let file: KernelFile
        /// For each pair of lines, the series of each column.
        var columns: [[TargetSamples.Slot?]] = []
    }

    private let context: CollectionContext
    private var tables: [Table]
    private var version6: KeyedSeries?

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        self.context = context
        tables = ["netstat", "snmp"].compactMap { name in context.openNetwork(name).map { Table(file: $0) } }
        for index in tables.indices {
            let file = tables[index].file
            tables[index].columns = context.readRecords(file) { Self.columns($0, samples) } ?? []
        }
        if let file = context.openNetwork("snmp6") {
            let names = context.readRecords(file) { Self.names6($0) } ?? []
            version6 = KeyedSeries(
                file, names.map { KeyedSeries.Field($0.key, Self.slot($0.protocolName, $0.field, samples)) })
        }
        guard !tables.isEmpty || version6 != nil else { return nil }
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        for table in tables {
            _ = context.readRecords(table.file) { bytes -> Bool? in
                var scanner = FieldScanner(bytes)
                for columns in table.columns {
                    guard scanner.nextLine(), scanner.word() != nil else { return nil }
                    for slot in columns {
                        guard let word = scanner.word() else { break }
                        // A few are -1 ("no limit"), and none of them is wanted.
                        if let slot, let value = FieldScanner.unsigned(word) { samples.set(slot, value) }
                    }
                    _ = scanner.nextLine()
                }
                return true
            }
        }
        version6?.collect(context, into: samples)
    }

    private static func columns(_ bytes: UnsafeRawBufferPointer, _ samples: TargetSamples) -> [[TargetSamples.Slot?]] {
        var scanner = FieldScanner(bytes)
        var all: [[TargetSamples.Slot?]] = []
        repeat {
            guard let name = scanner.text(), name.hasSuffix(":") else { break }
            var columns: [TargetSamples.Slot?] = []
            while let field = scanner.text() {
                let isKept = isWanted(String(name.dropLast()), field)
                columns.append(isKept ? slot(String(name.dropLast()), field, samples) : nil)
            }
            all.append(columns)
            // The line of values.
            guard scanner.nextLine() else { break }
        } while scanner.nextLine()
        return all
    }

    /// Lines are `Ip6InOctets  123`; the protocol's name ends with its 6.
    private static func names6(
        _ bytes: UnsafeRawBufferPointer
    ) -> [(key: String, protocolName: String, field: String)] {
        var scanner = FieldScanner(bytes)
        var names: [(key: String, protocolName: String, field: String)] = []
        repeat {
            guard let key = scanner.text(), let six = key.firstIndex(of: "6"), names.count < 60 else { continue }
            let (name, field) = (String(key[...six]), String(key[key.index(after: six)...]))
            if isWanted(name, field) { names.append((key, name, field)) }
        } while scanner.nextLine()
        return names
    }

    private static func isWanted(_ name: String, _ field: String) -> Bool {
        if field == "InErrors" || field == "InErrs" { return true }
        if name == "TcpExt", field.hasPrefix("Listen") || field.hasPrefix("Syncookies") { return true }
        return wanted[name]?.contains(field) == true
    }

    private static func slot(_ name: String, _ field: String, _ samples: TargetSamples) -> TargetSamples.Slot {
        samples.slot(.unknown("node_netstat_\(name)_\(field)", "Statistic \(name)\(field)."))
    }
}
