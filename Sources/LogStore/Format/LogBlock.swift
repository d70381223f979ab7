internal import Telemetry

/// Up to 64 k lines or 2 MB of one stream, ordered by time and stored in compressed columns.
struct LogBlock: Sendable {
    /// `offset` is 0 until the block lies in a part.
    var summary: BlockSummary
    /// The columns, back to back.
    var bytes: [UInt8]

    /// A block that was encoded before.
    init(summary: BlockSummary, bytes: [UInt8]) {
        self.summary = summary
        self.bytes = bytes
    }

    /// Encodes lines in any order; those of one time keep their order.
    init(encoding columns: LineColumns, firstPosition: UInt64, lastPosition: UInt64, lastArrivalNanoseconds: Int64) {
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
        var writer = ByteWriter(capacity: sorted.bytes.count / 4 + 256)
        for column in BlockSummary.Column.allCases {
            guard let raw = LogBlock.encode(column, of: sorted) else { continue }
            let before = writer.count
            Section.append(raw, codec: .zstd, to: &writer)
            summary[column] = writer.count - before
        }
        self.summary = summary
        bytes = writer.bytes
    }

    /// The raw bytes of a column; nil when it is absent.
    private static func encode(_ column: BlockSummary.Column, of lines: LineColumns) -> [UInt8]? {
        switch column {
        case .times: encodeTimes(lines.timesNanoseconds)
        case .lengths: encodeLengths(lines.lineEnds)
        case .lines: lines.bytes
        case .metadata: lines.metadata.isEmpty ? nil : encodeMetadata(lines.metadata)
        case .origins: lines.originIndexes.isEmpty ? nil : encodeOrigins(lines)
        }
    }

    /// Differences from line to line, never negative because times are ordered; the first is in the summary.
    private static func encodeTimes(_ times: [Int64]) -> [UInt8] {
        var writer = ByteWriter(capacity: times.count * 4)
        var previous = times.first ?? 0
        for time in times {
            writer.putVarint(UInt64(bitPattern: time &- previous))
            previous = time
        }
        return writer.bytes
    }

    private static func encodeLengths(_ ends: [Int]) -> [UInt8] {
        var writer = ByteWriter(capacity: ends.count * 2)
        var previous = 0
        for end in ends {
            writer.putVarint(UInt64(end - previous))
            previous = end
        }
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
