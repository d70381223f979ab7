internal import Disk
internal import Telemetry

/// Builds the sections of a block's index from its series and groups.
struct BlockIndexWriter {
    private let groups: [BlockGroup]
    private let symbols: [String]
    private let series: ByteWriter
    private let postings: ByteWriter

    /// Numbers the strings and inverts the labels of `series`, whose places are their numbers.
    init(series labels: [Labels], groups: [BlockGroup]) {
        self.groups = groups
        var numbers: [String: Int] = [:]
        var strings: [String] = []
        func number(_ string: String) -> Int {
            if let known = numbers[string] { return known }
            numbers[string] = strings.count
            strings.append(string)
            return strings.count - 1
        }
        let pairs = labels.map { $0.pairs.map { (name: number($0.name), value: number($0.value)) } }
        let order = strings.indices.sorted { strings[$0].utf8.lexicographicallyPrecedes(strings[$1].utf8) }
        var symbolOf = [Int](repeating: 0, count: strings.count)
        for (symbol, index) in order.enumerated() { symbolOf[index] = symbol }
        symbols = order.map { strings[$0] }

        var series = ByteWriter()
        var inverted: [Int: [Int: Postings]] = [:]
        series.putVarint(UInt64(pairs.count))
        for (ordinal, pairs) in pairs.enumerated() {
            series.putVarint(UInt64(pairs.count))
            for pair in pairs {
                let (name, value) = (symbolOf[pair.name], symbolOf[pair.value])
                series.putVarint(UInt64(name))
                series.putVarint(UInt64(value))
                inverted[name, default: [:]][value, default: .empty].append(UInt32(ordinal))
            }
        }
        self.series = series
        postings = BlockIndexWriter.encode(inverted)
    }

    /// The bytes of one section.
    func section(_ kind: BlockFormat.SectionKind) -> [UInt8] {
        switch kind {
        case .symbols:
            var writer = ByteWriter()
            SymbolTable.encode(symbols, into: &writer)
            return writer.bytes
        case .series: return series.bytes
        case .postings: return postings.bytes
        case .groups: return groupBytes()
        }
    }

    private static func encode(_ inverted: [Int: [Int: Postings]]) -> ByteWriter {
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
