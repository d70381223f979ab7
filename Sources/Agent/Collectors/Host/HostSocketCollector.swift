internal import Glibc

/// How many sockets of which protocol the host has: /proc/net/sockstat and sockstat6.
final class HostSocketCollector: Collector {
    private static let pageBytes = Double(sysconf(Int32(_SC_PAGESIZE)))

    private let context: CollectionContext
    private var tables: [(file: KernelFile, fields: SlotsByName<SlotsByName<[TargetSamples.Slot]>>)]

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        self.context = context
        tables = ["sockstat", "sockstat6"].compactMap { name in
            context.openNetwork(name).map { ($0, SlotsByName(maximum: 16)) }
        }
        guard !tables.isEmpty else { return nil }
        for index in tables.indices { declare(index, samples) }
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        for index in tables.indices { read(index) { samples.set($0, $1) } }
    }

    private func declare(_ index: Int, _ samples: TargetSamples) {
        _ = context.readRecords(tables[index].file) { bytes -> Bool? in
            var scanner = FieldScanner(bytes)
            repeat {
                guard let protocolWord = scanner.word() else { continue }
                var fields = SlotsByName<[TargetSamples.Slot]>(maximum: 16)
                while let field = scanner.word(), scanner.word() != nil {
                    _ = fields.slots(for: field) { text in
                        Self.slots(String(decoding: protocolWord.dropLast(), as: UTF8.self), text, samples)
                    }
                }
                _ = tables[index].fields.slots(for: protocolWord) { _ in fields }
            } while scanner.nextLine()
            return true
        }
    }

    /// Lines are `TCP: inuse 1 orphan 0 tw 1 alloc 1 mem 91`.
    private func read(_ index: Int, _ set: (TargetSamples.Slot, Double) -> Void) {
        _ = context.readRecords(tables[index].file) { bytes -> Bool? in
            var scanner = FieldScanner(bytes)
            repeat {
                guard let protocolWord = scanner.word(),
                    var fields = tables[index].fields.slots(
                        for: protocolWord, declare: { _ in SlotsByName(maximum: 0) })
                else { continue }
                while let field = scanner.word(), let value = scanner.unsigned() {
                    guard let slots = fields.slots(for: field, declare: { _ in [] }), let first = slots.first else {
                        continue
                    }
                    set(first, Double(value))
                    if slots.count > 1 { set(slots[1], Double(value) * Self.pageBytes) }
                }
            } while scanner.nextLine()
            return true
        }
    }

    /// `sockets: used` is one number; `mem` is in pages, and shown in bytes, too.
    private static func slots(_ name: String, _ field: String, _ samples: TargetSamples) -> [TargetSamples.Slot] {
        func slot(_ kind: String) -> TargetSamples.Slot {
            let help =
                name == "sockets" ? "Number of IPv4 sockets in use." : "Number of \(name) sockets in state \(kind)."
            return samples.slot(.gauge("node_sockstat_\(name)_\(kind)", help))
        }
        return field == "mem" ? [slot("mem"), slot("mem_bytes")] : [slot(field)]
    }
}
