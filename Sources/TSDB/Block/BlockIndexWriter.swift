internal import Disk
internal import Telemetry

/// Builds the sections of a block's index. What series are called beside their group's own labels is written once for
/// all groups: a thousand equal targets take the space of one.
struct BlockIndexWriter {
    /// A group and how its series are called.
    struct Group {
        var group: BlockGroup
        var common: Labels
        /// By number of the series: which of `LabelSets` is the rest of its labels.
        var rests: [UInt32]
    }

    /// The distinct rests of all groups, numbered as they come, so that a million series of equal targets take the
    /// memory of one target's.
    struct LabelSets {
        fileprivate var distinct: [Labels] = []
        private var numbers: [Labels: UInt32] = [:]

        /// The number of a set of labels.
        mutating func number(of labels: Labels) -> UInt32 {
            if let known = numbers[labels] { return known }
            let number = UInt32(distinct.count)
            numbers[labels] = number
            distinct.append(labels)
            return number
        }
    }

    private let groups: [BlockGroup]
    private let symbols: [String]
    private let entries: ByteWriter
    private let postings: ByteWriter

    /// Numbers the strings and, in their own order, the label sets, and inverts the latter.
    init(_ groups: [Group], _ sets: LabelSets) {
        let keys = sets.distinct.map { FamilyKey($0).bytes }
        let order = sets.distinct.indices.sorted { keys[$0].lexicographicallyPrecedes(keys[$1]) }
        let distinct = order.map { sets.distinct[$0] }
        var entryOf = [UInt32](repeating: 0, count: order.count)
        for (number, place) in order.enumerated() { entryOf[place] = UInt32(number) }
        var strings: Set<String> = []
        for labels in distinct + groups.map(\.common) {
            for pair in labels.pairs { strings.formUnion([pair.name, pair.value]) }
        }
        symbols = strings.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        var symbolOf: [String: UInt32] = [:]
        for (symbol, string) in symbols.enumerated() { symbolOf[string] = UInt32(symbol) }
        func pairs(_ labels: Labels) -> [SymbolPair] {
            labels.pairs.map { SymbolPair(name: symbolOf[$0.name] ?? 0, value: symbolOf[$0.value] ?? 0) }
        }
        self.groups = groups.map { one in
            var group = one.group
            group.common = pairs(one.common)
            group.entries = Postings()
            for number in one.rests { group.entries.append(entryOf[Int(number)]) }
            return group
        }
        var entries = ByteWriter()
        var inverted: [UInt32: [UInt32: Postings]] = [:]
        entries.putVarint(UInt64(distinct.count))
        for (number, labels) in distinct.enumerated() {
            let pairs = pairs(labels)
            entries.putVarint(UInt64(pairs.count))
            for pair in pairs {
                pair.encode(into: &entries)
                inverted[pair.name, default: [:]][pair.value, default: .empty].append(UInt32(number))
            }
        }
        self.entries = entries
        postings = Self.encode(inverted)
    }

    /// The bytes of one section.
    func section(_ kind: BlockFormat.SectionKind) -> [UInt8] {
        switch kind {
        case .symbols:
            var writer = ByteWriter()
            SymbolTable.encode(symbols, into: &writer)
            return writer.bytes
        case .entries: return entries.bytes
        case .postings: return postings.bytes
        case .groups: return groupBytes()
        }
    }

    private static func encode(_ inverted: [UInt32: [UInt32: Postings]]) -> ByteWriter {
        var writer = ByteWriter()
        writer.putVarint(UInt64(inverted.count))
        for (name, values) in inverted.sorted(by: { $0.key < $1.key }) {
            writer.putVarint(UInt64(name))
            writer.putVarint(UInt64(values.count))
            for (value, postings) in values.sorted(by: { $0.key < $1.key }) {
                var list = ByteWriter()
                postings.encode(into: &list)
                writer.putVarint(UInt64(value))
                writer.putPrefixed(list.bytes)
            }
        }
        return writer
    }

    private func groupBytes() -> [UInt8] {
        var writer = ByteWriter()
        writer.putVarint(UInt64(groups.count))
        for group in groups {
            writer.putPrefixed(group.target.encoded)
            writer.putVarint(UInt64(group.ordinals.count))
            writer.putVarint(UInt64(group.common.count))
            for pair in group.common { pair.encode(into: &writer) }
            group.entries.encode(into: &writer)
            writer.putVarint(group.sealedThrough.ordinal)
            writer.putVarint(UInt64(group.strips.count))
            for strip in group.strips {
                writer.putVarint(strip.offset)
                writer.putVarint(UInt64(strip.headerByteCount))
                writer.putVarint(UInt64(strip.streamByteCount))
                writer.putVarint(UInt64(strip.ordinals.lowerBound - group.ordinals.lowerBound))
                writer.putVarint(UInt64(strip.ordinals.upperBound - strip.ordinals.lowerBound))
                writer.putSigned(strip.times.startMilliseconds)
                writer.putVarint(UInt64(bitPattern: strip.times.endMilliseconds &- strip.times.startMilliseconds))
                writer.putVarint(UInt64(strip.sampleCount))
            }
        }
        return writer.bytes
    }
}

extension SymbolPair {
    /// Appends both symbols.
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.putVarint(UInt64(name))
        writer.putVarint(UInt64(value))
    }
}
