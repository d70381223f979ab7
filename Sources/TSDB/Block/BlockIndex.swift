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
    /// Label sets, and where each begins.
    private let entries: [UInt8]
    private let entryStarts: [UInt32]
    private let names: [NameEntry]
    private let values: [ValueEntry]
    private let postingBytes: [UInt8]

    /// The number of series.
    let seriesCount: Int

    var allSeries: Postings { Postings(0..<UInt32(seriesCount)) }

    /// An estimate of the memory held.
    let memoryBytes: Int

    /// Parses the four sections. Everything later lookups rely on is checked here.
    init(symbols: [UInt8], entries: [UInt8], postings: [UInt8], groups: [BlockGroup]) throws(ByteError) {
        self.symbols = try Self.parse(symbols) { reader throws(ByteError) in try SymbolTable(from: &reader) }
        let symbolCount = self.symbols.count
        entryStarts = try Self.parse(entries) { reader throws(ByteError) in
            try Self.entryStarts(from: &reader, symbolCount: symbolCount)
        }
        self.entries = entries
        seriesCount = Int(groups.last?.ordinals.upperBound ?? 0)
        for group in groups {
            let last = group.entries.runs.last?.upperBound ?? 0
            guard Int(last) <= entryStarts.count, Self.areRising(group.common, symbolCount: symbolCount) else {
                throw ByteError(offset: 0, reason: "a group has labels that the block does not have")
            }
        }
        (names, values) = try Self.parse(postings) { reader throws(ByteError) in
            try Self.entries(from: &reader, symbolCount: symbolCount)
        }
        postingBytes = postings
        self.groups = groups
        memoryBytes =
            self.symbols.memoryBytes + entries.count + entryStarts.count * 4 + values.count * 24 + postings.count
            + groups.reduce(0) {
                $0 + 128 + $1.entries.runs.count * 8 + $1.strips.count * MemoryLayout<StripLocation>.stride
            }
    }

    private static func areRising(_ pairs: [SymbolPair], symbolCount: Int) -> Bool {
        pairs.allSatisfy { max($0.name, $0.value) < symbolCount }
            && zip(pairs, pairs.dropFirst()).allSatisfy { $0.name < $1.name }
    }

    /// The labels of a series: those of its group and its own, names rising, which is the canonical encoding.
    func labels(of ordinal: UInt32) throws(ByteError) -> Labels {
        let group = group(of: ordinal)
        guard let entry = group.entries.element(at: Int(ordinal - group.ordinals.lowerBound)) else {
            throw ByteError(offset: 0, reason: "series \(ordinal) has no labels")
        }
        var writer = ByteWriter(capacity: 256)
        func put(_ pair: SymbolPair) {
            symbols.withBytes(Int(pair.name)) { writer.putPrefixed($0) }
            symbols.withBytes(Int(pair.value)) { writer.putPrefixed($0) }
        }
        try entries.parse { raw throws(ByteError) in
            var reader = ByteReader(raw, at: Int(entryStarts[Int(entry)]))
            var common = group.common[...]
            for _ in 0..<(try reader.varint()) {
                let name = UInt32(truncatingIfNeeded: try reader.varint())
                let pair = SymbolPair(name: name, value: UInt32(truncatingIfNeeded: try reader.varint()))
                while let next = common.first, next.name < pair.name { put(common.removeFirst()) }
                put(pair)
            }
            for pair in common { put(pair) }
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
        guard let symbol = symbols.symbol(value) else { return .empty }
        return try series(name: name) {
            $0 == UInt32(symbol)
        } entries: { values in
            var low = values.lowerBound
            var high = values.upperBound
            while low < high {
                let middle = (low + high) / 2
                if self.values[middle].value < UInt32(symbol) { low = middle + 1 } else { high = middle }
            }
            guard low < values.upperBound, self.values[low].value == UInt32(symbol) else { return .empty }
            return try decode(self.values[low].postings)
        }
    }

    func postings(name: String, prefix: String, where isWanted: (String) -> Bool) throws -> Postings {
        let candidates = symbols.symbols(prefix: prefix)
        var known: [UInt32: Bool] = [:]
        func isWantedOnce(_ value: UInt32) -> Bool {
            guard candidates.contains(Int(value)) else { return false }
            if let known = known[value] { return known }
            let answer = isWanted(symbols.string(Int(value)))
            known[value] = answer
            return answer
        }
        return try series(name: name, where: isWantedOnce) { values in
            var runs: [Range<UInt32>] = []
            for index in values where isWantedOnce(self.values[index].value) {
                runs.append(contentsOf: try decode(self.values[index].postings).runs)
            }
            return Postings(joining: runs)
        }
    }

    /// The series with a wanted value of a name, be it their group's or their own; `entries` finds the latter among the
    /// name's values.
    private func series(
        name: String, where isWanted: (UInt32) -> Bool, entries: (Range<Int>) throws -> Postings
    ) throws -> Postings {
        guard let symbol = symbols.symbol(name).map({ UInt32($0) }) else { return .empty }
        let own = try entry(of: name).map { try entries($0.values) } ?? .empty
        var found = Postings()
        for group in groups {
            if let pair = group.common.first(where: { $0.name == symbol }) {
                if isWanted(pair.value) { found.append(group.ordinals) }
            } else if !own.isEmpty {
                group.entries.forEachPlace(of: own) { places in
                    let first = group.ordinals.lowerBound
                    found.append(first + places.lowerBound..<first + places.upperBound)
                }
            }
        }
        return found
    }

    /// Every label name.
    var labelNames: [String] {
        let common = Set(groups.flatMap { $0.common.map { Int($0.name) } })
        return common.union(names.map(\.name)).sorted().map { symbols.string($0) }
    }

    /// The values of a name among the wanted series, in the order of their bytes. Of each value as few series are asked
    /// about as will do: one, where all are wanted.
    func labelValues(_ name: String, where isWanted: (UInt32) -> Bool) throws(ByteError) -> [String] {
        guard let symbol = symbols.symbol(name) else { return [] }
        var found: Set<UInt32> = []
        for group in groups {
            guard let pair = group.common.first(where: { $0.name == symbol }), !found.contains(pair.value),
                group.ordinals.contains(where: isWanted)
            else { continue }
            found.insert(pair.value)
        }
        for place in entry(of: name)?.values ?? 0..<0 where !found.contains(values[place].value) {
            let own = try decode(values[place].postings)
            if groups.contains(where: { hasWanted(own, of: symbol, in: $0, isWanted) }) {
                found.insert(values[place].value)
            }
        }
        // Symbols are numbered in the order of their bytes.
        return found.sorted().map { symbols.string(Int($0)) }
    }

    /// Whether a group whose series have values of their own has a wanted series among those of `own`.
    private func hasWanted(
        _ own: Postings, of name: Int, in group: BlockGroup, _ isWanted: (UInt32) -> Bool
    ) -> Bool {
        guard !group.common.contains(where: { $0.name == name }) else { return false }
        let first = group.ordinals.lowerBound
        var isFound = false
        group.entries.forEachPlace(of: own) { places in
            isFound =
                isFound || (first + places.lowerBound..<first + places.upperBound).contains(where: isWanted)
        }
        return isFound
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
            return try Postings(below: entryStarts.count, from: &reader)
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

    private static func entryStarts(
        from reader: inout ByteReader, symbolCount: Int
    ) throws(ByteError) -> [UInt32] {
        let count = try reader.count(upTo: reader.remaining, "label sets")
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
                let ordinals = UInt32(first)..<UInt32(end)
                var common: [SymbolPair] = []
                for _ in 0..<(try reader.count(upTo: reader.remaining, "shared labels")) {
                    let name = try reader.count(upTo: Int(UInt32.max), "symbol")
                    let value = try reader.count(upTo: Int(UInt32.max), "symbol")
                    common.append(SymbolPair(name: UInt32(name), value: UInt32(value)))
                }
                let entries = try Postings(below: Int(UInt32.max) - 1, from: &reader)
                guard entries.count == ordinals.count else {
                    throw ByteError(offset: reader.offset, reason: "a group has not as many label sets as series")
                }
                var group = BlockGroup(
                    target: target, ordinals: ordinals, common: common, entries: entries,
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
