internal import Disk
internal import Telemetry

/// The label index of one block in memory, as it was read and checked. Numbers in it are the block's own.
final class BlockIndex: Sendable, LabelIndex {
    /// The values of one name within `values`.
    private struct NameEntry {
        let name: Int
        let values: Range<Int>
    }
    /// One value and where its postings are.
    private struct ValueEntry {
        let value: UInt32
        let postings: Range<Int>
    }

    let groups: [BlockGroup]
    private let symbols: SymbolTable
    private let series: [UInt8]
    private let seriesStarts: [UInt32]
    private let names: [NameEntry]
    private let values: [ValueEntry]
    private let postingBytes: [UInt8]

    /// The number of series.
    var seriesCount: Int { seriesStarts.count }

    var allSeries: Postings { Postings(0..<UInt32(seriesCount)) }

    /// An estimate of the memory held.
    var memoryBytes: Int {
        symbols.memoryBytes + series.count + seriesStarts.count * 4 + values.count * 24 + postingBytes.count
            + groups.reduce(0) { $0 + 64 + $1.strips.count * MemoryLayout<StripLocation>.stride }
    }

    /// Parses the four sections. Everything later lookups rely on is checked here.
    init(symbols: [UInt8], series: [UInt8], postings: [UInt8], groups: [BlockGroup]) throws(ByteError) {
        self.symbols = try Self.parse(symbols) { reader throws(ByteError) in try SymbolTable(from: &reader) }
        let symbolCount = self.symbols.count
        seriesStarts = try Self.parse(series) { reader throws(ByteError) in
            try Self.seriesStarts(from: &reader, symbolCount: symbolCount)
        }
        self.series = series
        let seriesCount = seriesStarts.count
        guard groups.last?.ordinals.upperBound ?? 0 == seriesCount else {
            throw ByteError(offset: 0, reason: "groups do not have as many series as the block")
        }
        (names, values) = try Self.parse(postings) { reader throws(ByteError) in
            try Self.entries(from: &reader, symbolCount: symbolCount)
        }
        postingBytes = postings
        self.groups = groups
    }

    /// The labels of a series.
    func labels(of ordinal: UInt32) throws(ByteError) -> Labels {
        var writer = ByteWriter(capacity: 256)
        try series.parse { raw throws(ByteError) in
            var reader = ByteReader(raw, at: Int(seriesStarts[Int(ordinal)]))
            // Names and values in turn, the names in the order of their bytes: the canonical encoding as it is.
            for _ in 0..<2 * (try reader.varint()) {
                symbols.withBytes(Int(try reader.varint())) { writer.putPrefixed($0) }
            }
        }
        return Labels(canonical: writer.bytes)
    }

    /// The group a series belongs to.
    func group(of ordinal: UInt32) -> BlockGroup {
        var low = 0
        var high = groups.count - 1
        while low < high {
            let middle = (low + high) / 2
            if groups[middle].ordinals.upperBound <= ordinal { low = middle + 1 } else { high = middle }
        }
        return groups[low]
    }

    func postings(name: String, value: String) throws -> Postings {
        guard let symbol = symbols.symbol(value), let entry = entry(of: name) else { return .empty }
        var low = entry.values.lowerBound
        var high = entry.values.upperBound
        while low < high {
            let middle = (low + high) / 2
            if values[middle].value < UInt32(symbol) { low = middle + 1 } else { high = middle }
        }
        guard low < entry.values.upperBound, values[low].value == UInt32(symbol) else { return .empty }
        return try decode(values[low].postings)
    }

    func postings(name: String, where isWanted: (String) -> Bool) throws -> Postings {
        guard let entry = entry(of: name) else { return .empty }
        var runs: [Range<UInt32>] = []
        for index in entry.values where isWanted(symbols.string(Int(values[index].value))) {
            runs.append(contentsOf: try decode(values[index].postings).runs)
        }
        return Postings(joining: runs)
    }

    /// Every label name.
    var labelNames: [String] { names.map { symbols.string($0.name) } }

    /// Every value of a name.
    func labelValues(_ name: String) -> [String] {
        entry(of: name)?.values.map { symbols.string(Int(values[$0].value)) } ?? []
    }

    private func entry(of name: String) -> NameEntry? {
        guard let symbol = symbols.symbol(name) else { return nil }
        var low = 0
        var high = names.count
        while low < high {
            let middle = (low + high) / 2
            if names[middle].name < symbol { low = middle + 1 } else { high = middle }
        }
        return low < names.count && names[low].name == symbol ? names[low] : nil
    }

    private func decode(_ range: Range<Int>) throws(ByteError) -> Postings {
        try postingBytes.parse { raw throws(ByteError) in
            var reader = ByteReader(raw, at: range.lowerBound)
            return try Postings(below: seriesCount, from: &reader)
        }
    }

    /// Runs `body` over all of `bytes`; something left over is damage.
    private static func parse<Value>(
        _ bytes: [UInt8], _ body: (inout ByteReader) throws(ByteError) -> Value
    ) throws(ByteError) -> Value {
        try bytes.parse { raw throws(ByteError) in
            var reader = ByteReader(raw)
            let value = try body(&reader)
            guard reader.isAtEnd else { throw ByteError(offset: reader.offset, reason: "bytes behind the section") }
            return value
        }
    }

    private static func seriesStarts(
        from reader: inout ByteReader, symbolCount: Int
    ) throws(ByteError) -> [UInt32] {
        let count = try reader.count(upTo: reader.remaining, "series")
        var starts: [UInt32] = []
        starts.reserveCapacity(count)
        for _ in 0..<count {
            starts.append(UInt32(truncatingIfNeeded: reader.offset))
            var previousName = -1
            for _ in 0..<(try reader.count(upTo: reader.remaining, "labels")) {
                let name = try reader.varint()
                let value = try reader.varint()
                guard max(name, value) < UInt64(symbolCount), Int(name) > previousName else {
                    throw ByteError(offset: reader.offset, reason: "labels are not rising symbols of the block")
                }
                previousName = Int(name)
            }
        }
        return starts
    }

    private static func entries(
        from reader: inout ByteReader, symbolCount: Int
    ) throws(ByteError) -> ([NameEntry], [ValueEntry]) {
        var names: [NameEntry] = []
        var values: [ValueEntry] = []
        for _ in 0..<(try reader.count(upTo: symbolCount, "label names")) {
            let name = try reader.count(upTo: symbolCount - 1, "symbol")
            let first = values.count
            for _ in 0..<(try reader.count(upTo: symbolCount, "label values")) {
                let value = try reader.count(upTo: symbolCount - 1, "symbol")
                let length = try reader.count(upTo: reader.remaining, "postings")
                let start = reader.offset
                _ = try reader.slice(length)
                values.append(ValueEntry(value: UInt32(value), postings: start..<start + length))
            }
            names.append(NameEntry(name: name, values: first..<values.count))
        }
        return (names, values)
    }
}

extension BlockGroup {
    /// Reads the groups section.
    static func list(from bytes: [UInt8], dataEnd: UInt64) throws(ByteError) -> [BlockGroup] {
        try bytes.parse { raw throws(ByteError) in
            var reader = ByteReader(raw)
            var groups: [BlockGroup] = []
            var first = 0
            for _ in 0..<(try reader.count(upTo: reader.remaining, "groups")) {
                let target = try reader.labels()
                let end = first + (try reader.count(upTo: Int(UInt32.max) - 1 - first, "series of a group"))
                var group = BlockGroup(
                    target: target, ordinals: UInt32(first)..<UInt32(end),
                    sealedThrough: LogPosition(try reader.varint()), strips: [])
                for _ in 0..<(try reader.count(upTo: reader.remaining, "strips")) {
                    group.strips.append(try StripLocation(in: group, dataEnd: dataEnd, from: &reader))
                }
                groups.append(group)
                first = end
            }
            guard reader.isAtEnd else { throw ByteError(offset: reader.offset, reason: "bytes behind the groups") }
            return groups
        }
    }
}

extension StripLocation {
    fileprivate init(in group: BlockGroup, dataEnd: UInt64, from reader: inout ByteReader) throws(ByteError) {
        let place = reader.offset
        offset = try reader.varint()
        headerByteCount = try reader.count(upTo: BlockFormat.pageByteCount, "strip header")
        streamByteCount = try reader.count(upTo: BlockFormat.sectionByteCountMaximum, "strip")
        let low = try reader.count(upTo: group.ordinals.count, "series")
        let span = try reader.count(upTo: group.ordinals.count, "series")
        let start = try reader.signed()
        let end = Int64(bitPattern: UInt64(bitPattern: start) &+ (try reader.varint()))
        sampleCount = try reader.count(upTo: Int.max, "samples")
        let pages = (streamByteCount + BlockFormat.pagePayloadByteCount - 1) / BlockFormat.pagePayloadByteCount
        let total = UInt64(headerByteCount + streamByteCount + pages * BlockFormat.pageHeaderByteCount)
        guard low + span < group.ordinals.count, start <= end, offset <= dataEnd, total <= dataEnd - offset,
            headerByteCount > BlockFormat.pageHeaderByteCount
        else { throw ByteError(offset: place, reason: "strip lies outside its group or its file") }
        let first = group.ordinals.lowerBound + UInt32(low)
        ordinals = first...(first + UInt32(span))
        times = TimeRange(startMilliseconds: start, endMilliseconds: end)
    }
}
