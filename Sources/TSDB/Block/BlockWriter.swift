internal import Disk
internal import Telemetry

/// Writes one block file front to back: strips group by group, then the index, then the footer.
///
/// Nothing is visible before `finish` returned and the file was synced and renamed, which is the caller's part.
struct BlockWriter {
    private let file: any FileHandle
    private let seed: UInt32
    private let sealedRowsMinimum: Int
    /// Written in pieces of this size.
    private static let bufferByteCount = 1 << 20
    private var buffer = ByteWriter(capacity: BlockWriter.bufferByteCount)
    private var flushed: UInt64 = 0
    private var groups: [BlockIndexWriter.Group] = []
    private var labelSets = BlockIndexWriter.LabelSets()
    private var seriesCount: UInt32 = 0
    private var times: TimeRange?
    private(set) var sampleCount = 0

    /// Where the next byte goes.
    private var offset: UInt64 { flushed + UInt64(buffer.count) }

    /// The bytes written so far.
    var byteCount: UInt64 { offset }

    /// Begins a block in an empty file. `salt` should be random. Strips with fewer rows than `sealedRowsMinimum` are
    /// written to be read fast, the others to be small.
    init(_ file: any FileHandle, salt: UInt64, sealedRowsMinimum: Int = BlockFormat.sealedRowsMinimum) {
        self.file = file
        self.sealedRowsMinimum = sealedRowsMinimum
        seed = BlockFormat.seed(salt: salt)
        buffer.putFixed(BlockFormat.magic)
        buffer.put(BlockFormat.version)
        buffer.put([0, 0, 0])
        buffer.putFixed(salt)
    }

    /// Begins a group whose series take the next numbers, as `layout` orders them; returns the first.
    /// Groups come in the order of their targets.
    mutating func beginGroup(_ target: Labels, sealedThrough: LogPosition, layout: SeriesLayout) -> UInt32 {
        let first = seriesCount
        seriesCount += UInt32(layout.rests.count)
        let group = BlockGroup(target: target, ordinals: first..<seriesCount, sealedThrough: sealedThrough, strips: [])
        let rests = layout.rests.map { labelSets.number(of: $0) }
        groups.append(BlockIndexWriter.Group(group: group, common: layout.common, rests: rests))
        return first
    }

    /// Adds up to 512 rows of the group begun last. `rowTimes` rise strictly; columns are ordered by series, none
    /// empty.
    mutating func append(rowTimes: [Int64], columns: [StripColumn]) throws(StorageError) {
        var next = columns.startIndex
        while next < columns.endIndex {
            next = try appendStrip(rowTimes: rowTimes, columns: columns[next...])
        }
    }

    /// Writes the index and the footer.
    mutating func finish(sequence: BlockSequence, history: BlockHistory) throws(StorageError) -> BlockFooter {
        let sealedThrough = groups.map(\.group.sealedThrough).max() ?? LogPosition(0)
        let none = TimeRange(startMilliseconds: .max, endMilliseconds: .min)
        var footer = BlockFooter(
            sequence: sequence, history: history, sealedThrough: sealedThrough, times: times ?? none,
            seriesCount: Int(seriesCount), sampleCount: sampleCount)
        let index = BlockIndexWriter(groups, labelSets)
        for kind in BlockFormat.SectionKind.allCases {
            let (bytes, flag) = Self.compressed(index.section(kind))
            let place = offset
            footer.sections.append(
                BlockFooter.Section(
                    kind: kind.rawValue | flag, offset: place, byteCount: bytes.count,
                    checksum: bytes.withUnsafeBytes { BlockFormat.checksum($0, at: place, seed: seed) }))
            buffer.put(bytes)
            try flush(ifOver: Self.bufferByteCount)
        }
        buffer.put(footer.encode(at: offset, seed: seed))
        try flush(ifOver: 0)
        return footer
    }

    /// A section as it is written: a varint of its length and a Zstandard frame where that is an eighth smaller.
    private static func compressed(_ bytes: [UInt8]) -> (bytes: [UInt8], flag: UInt8) {
        var writer = ByteWriter()
        writer.putVarint(UInt64(bytes.count))
        writer.put(Compression.zstd.compress(bytes, level: 9))
        return writer.count * 8 <= bytes.count * 7 ? (writer.bytes, BlockFormat.compressedFlag) : (bytes, 0)
    }

    /// Writes as many of `columns` as fit behind one header page; returns the first that did not.
    private mutating func appendStrip(
        rowTimes: [Int64], columns: ArraySlice<StripColumn>
    ) throws(StorageError) -> Int {
        var entries = ByteWriter()
        var stream: [UInt8] = []
        var front = ByteWriter()
        front.putVarint(UInt64(rowTimes.count))
        IntegerColumn.encode(rowTimes, into: &front)
        let first = columns.first?.ordinal ?? 0
        var previous = first
        var index = columns.startIndex
        var samples = 0
        var encoder = StripEncoder(
            rowCount: rowTimes.count, firstOrdinal: first, isSealed: rowTimes.count >= sealedRowsMinimum)
        while index < columns.endIndex, index - columns.startIndex < BlockFormat.stripColumnsMaximum {
            let column = columns[index]
            let (entry, body) = encoder.encode(column)
            let count = front.count + entries.count + entry.count
            // Ten bytes for the number of columns, which stands between times and entries.
            if index > columns.startIndex, count + 10 > BlockFormat.pagePayloadByteCount { break }
            entries.put(entry)
            stream.append(contentsOf: body)
            samples += column.rows.count
            previous = column.ordinal
            index += 1
        }
        front.putVarint(UInt64(index - columns.startIndex))
        front.put(entries.bytes)
        let range = TimeRange(startMilliseconds: rowTimes[0], endMilliseconds: rowTimes[rowTimes.count - 1])
        groups[groups.count - 1].group.strips.append(
            StripLocation(
                offset: offset, headerByteCount: front.count + BlockFormat.pageHeaderByteCount,
                streamByteCount: stream.count, ordinals: first...previous, times: range, sampleCount: samples))
        front.bytes.withUnsafeBytes { putPage(.stripHeader, $0) }
        stream.withUnsafeBytes { bytes in
            for start in stride(from: 0, to: bytes.count, by: BlockFormat.pagePayloadByteCount) {
                let end = min(start + BlockFormat.pagePayloadByteCount, bytes.count)
                putPage(.columns, UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
            }
        }
        sampleCount += samples
        times =
            times.map { old in
                TimeRange(
                    startMilliseconds: min(old.startMilliseconds, range.startMilliseconds),
                    endMilliseconds: max(old.endMilliseconds, range.endMilliseconds))
            } ?? range
        try flush(ifOver: Self.bufferByteCount)
        return index
    }

    private mutating func putPage(_ kind: BlockFormat.PageKind, _ payload: UnsafeRawBufferPointer) {
        let place = offset
        var header = ByteWriter(capacity: BlockFormat.pageHeaderByteCount)
        header.put(kind.rawValue)
        header.put([0, 0, 0])
        header.putFixed(UInt32(payload.count))
        let front = header.bytes.withUnsafeBytes { BlockFormat.checksum($0, at: place, seed: seed) }
        header.putFixed(crc32c(payload, continuing: front))
        buffer.put(header.bytes)
        buffer.put(payload)
    }

    private mutating func flush(ifOver limit: Int) throws(StorageError) {
        guard buffer.count > limit else { return }
        let place = flushed
        try buffer.bytes.withUnsafeBufferPointer { bytes throws(StorageError) in
            try file.write(UnsafeRawBufferPointer(bytes), at: place)
        }
        flushed += UInt64(buffer.count)
        buffer.removeAll()
    }
}
