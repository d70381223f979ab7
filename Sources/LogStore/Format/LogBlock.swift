internal import Telemetry

/// Lines of one stream in compressed columns, not yet in a part (docs/formats/log-part.md). Immutable.
final class LogBlock: Sendable {
    /// What is known without opening it; without the place in a file, and without the templates' column.
    let summary: BlockSummary
    /// The templates that occur, and no others.
    let table: TemplateTable
    /// The leaves of `table` by their numbers in the block.
    let leaves: [Int]
    /// Descriptions, chunks, metadata, origins.
    let body: [UInt8]
    /// The filter as a section; empty for none.
    let filter: [UInt8]

    /// Encodes lines, in any order of time. `labels` are those of their stream, which may tell how bad they are;
    /// `level` is zstd's.
    init(
        encoding columns: LineColumns, of labels: Labels = .empty, firstPosition: UInt64, lastPosition: UInt64,
        lastArrivalNanoseconds: Int64,
        level: Int = 1
    ) {
        precondition(columns.count > 0, "a block holds at least one line")
        let sorted = columns.sorted()
        var summary = BlockSummary()
        summary.lines = sorted.count
        summary.rawBytes = sorted.bytes.count
        summary.firstNanoseconds = sorted.timesNanoseconds.first ?? 0
        summary.lastNanoseconds = sorted.timesNanoseconds.last ?? 0
        summary.firstPosition = firstPosition
        summary.lastPosition = lastPosition
        summary.lastArrivalNanoseconds = lastArrivalNanoseconds
        summary.linesWithoutOrigin =
            sorted.originIndexes.isEmpty ? sorted.count : sorted.originIndexes.count { $0 < 0 }
        let severities = LineSeverities.numbers(of: sorted, labels: labels)
        summary.severities = SeverityCounts(severities)
        let encoder = LogBlock.encodeLines(
            sorted, severities: summary.severities.only == nil ? severities : [], level: level)
        var interner = TemplateInterner()
        leaves = encoder.leaves.map { interner.leaf($0, of: encoder.table) }
        table = interner.table
        filter = LogBlock.filter(encoder.words)
        summary.longestIndexedWord = encoder.words.longestIndexed
        summary.longestUnindexedWord = encoder.words.longestUnindexed
        summary.longestIndexedRun = encoder.words.longestIndexedRun
        summary.longestUnindexedRun = encoder.words.longestUnindexedRun
        summary.filterBytes = filter.count
        var writer = ByteWriter(capacity: encoder.writer.chunks.count + 4096)
        Section.append(encoder.writer.descriptions.bytes, codec: .zstd, to: &writer)
        summary[.descriptions] = writer.count
        writer.put(encoder.writer.chunks.bytes)
        summary[.chunks] = encoder.writer.chunks.count
        if !sorted.metadata.isEmpty {
            let start = writer.count
            Section.append(LogBlock.encodeMetadata(sorted.metadata), codec: .zstd, to: &writer)
            summary[.metadata] = writer.count - start
        }
        if !sorted.originIndexes.isEmpty {
            let start = writer.count
            Section.append(LogBlock.encodeOrigins(sorted), codec: .zstd, to: &writer)
            summary[.origins] = writer.count - start
        }
        self.summary = summary
        body = writer.bytes
    }

    /// What the block counts for in the head's budget.
    var memoryBytes: Int { body.count + filter.count + table.texts.count + table.count * 24 + 200 }

    /// A block that was encoded before.
    init(copying summary: BlockSummary, table: TemplateTable, leaves: [Int], body: [UInt8], filter: [UInt8]) {
        self.summary = summary
        self.table = table
        self.leaves = leaves
        self.body = body
        self.filter = filter
    }

    /// `severities` is empty where all lines have the same one, which the block's row tells.
    private static func encodeLines(_ lines: LineColumns, severities: [UInt8], level: Int) -> ColumnEncoder {
        // One byte more, so that an empty buffer has an address too.
        let bytes = lines.bytes.isEmpty ? [0] : lines.bytes
        return bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { preconditionFailure("a buffer with bytes has an address") }
            var encoder = ColumnEncoder(base, times: lines.timesNanoseconds, level: level)
            IntegerCoding.encode(lines.timesNanoseconds, to: &encoder.writer)
            encoder.encodeLines(ends: lines.lineEnds)
            if !severities.isEmpty { IntegerCoding.encode(severities.map { Int64($0) }, to: &encoder.writer) }
            return encoder
        }
    }

    private static func filter(_ words: WordCollector) -> [UInt8] {
        guard let filter = WordFilter(words.hashes) else { return [] }
        var raw = ByteWriter()
        filter.encode(to: &raw)
        var writer = ByteWriter()
        Section.append(raw.bytes, codec: .raw, to: &writer)
        return writer.bytes
    }

    /// The block's templates as its part numbers them.
    static func templates(_ leaves: [Int]) -> [UInt8] {
        var raw = ByteWriter()
        raw.putVarint(UInt64(leaves.count))
        for leaf in leaves { raw.putVarint(UInt64(leaf)) }
        var writer = ByteWriter()
        Section.append(raw.bytes, codec: .zstd, to: &writer)
        return writer.bytes
    }

    /// Distinct label sets, then (distance to the previous such line, which set) for each line that has one.
    private static func encodeMetadata(_ metadata: [LogLineMetadata]) -> [UInt8] {
        var numbers: [Labels: Int] = [:]
        var distinct: [Labels] = []
        var rows = ByteWriter()
        var previous = -1
        for entry in metadata {
            let number: Int
            if let known = numbers[entry.labels] {
                number = known
            } else {
                number = distinct.count
                numbers[entry.labels] = number
                distinct.append(entry.labels)
            }
            rows.putVarint(UInt64(entry.lineIndex - previous))
            rows.putVarint(UInt64(number))
            previous = entry.lineIndex
        }
        var writer = ByteWriter()
        writer.putVarint(UInt64(distinct.count))
        for labels in distinct { writer.putPrefixed(labels.encoded) }
        writer.putVarint(UInt64(metadata.count))
        writer.put(rows.bytes)
        return writer.bytes
    }

    /// The origins, then runs of lines of one origin: which (0 for none), how many, and where their bytes lay.
    private static func encodeOrigins(_ lines: LineColumns) -> [UInt8] {
        var writer = ByteWriter(capacity: lines.count * 3)
        writer.putVarint(UInt64(lines.origins.count))
        for origin in lines.origins {
            writer.putString(origin.source)
            writer.putVarint(origin.generation)
        }
        var start = 0
        while start < lines.count {
            let origin = lines.originIndexes[start]
            var end = start + 1
            while end < lines.count, lines.originIndexes[end] == origin { end += 1 }
            writer.putVarint(UInt64(origin + 1))
            writer.putVarint(UInt64(end - start))
            var previous: UInt64 = 0
            for index in start..<end where origin >= 0 {
                writer.putSigned(Int64(bitPattern: lines.offsetStarts[index] &- previous))
                writer.putVarint(lines.offsetEnds[index] &- lines.offsetStarts[index])
                previous = lines.offsetEnds[index]
            }
            start = end
        }
        return writer.bytes
    }
}
