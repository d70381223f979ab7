internal import Telemetry

/// What is known of a block without reading it: a row of a part's block index.
struct BlockSummary: Sendable, Equatable {
    /// The columns of a block, in the order in which they are stored.
    enum Column: Int, CaseIterable {
        /// Which of the part's templates occur. Absent while the block waits for its part.
        case templates = 0
        /// How times and lines are laid out, with their small arrays.
        case descriptions = 1
        /// The larger arrays, each with its own checksum.
        case chunks = 2
        /// Absent when no line has structured metadata.
        case metadata = 3
        /// Absent when no line has an origin.
        case origins = 4
    }

    /// An index into the part's streams.
    var stream = 0
    var lines = 0
    /// The bytes of the lines, without line ends.
    var rawBytes = 0
    var firstNanoseconds: Int64 = 0
    var lastNanoseconds: Int64 = 0
    /// The log positions of the first and last batch with a line of the block.
    var firstPosition: UInt64 = 0
    var lastPosition: UInt64 = 0
    /// The time of day when the last of the lines came.
    var lastArrivalNanoseconds: Int64 = 0
    /// Lines without an origin, which are deduplicated by their bytes.
    var linesWithoutOrigin = 0
    /// Where the first column starts in the file.
    var offset: UInt64 = 0
    /// Where the block's filter lies in the file, and its stored length; 0 for none.
    var filterOffset: UInt64 = 0
    var filterBytes = 0
    /// The longest word that the filter knows.
    var longestIndexedWord = 0
    /// No word of the block that the filter does not know is longer.
    var longestUnindexedWord = 0
    /// The same of runs of hexadecimal digits and hyphens, which identifiers are: ordinary words have short ones.
    var longestIndexedRun = 0
    var longestUnindexedRun = 0
    /// How many lines have each severity; nothing where it is not known.
    var severities = SeverityCounts()
    private var columnBytes = SIMD8<UInt32>()

    /// The stored length of a column, 0 for an absent one.
    subscript(column: Column) -> Int {
        get { Int(columnBytes[column.rawValue]) }
        set { columnBytes[column.rawValue] = UInt32(newValue) }
    }

    /// The stored length of the block.
    var storedBytes: Int { Column.allCases.reduce(0) { $0 + self[$1] } }

    /// Whether a line has structured metadata.
    var hasMetadata: Bool { self[.metadata] > 0 }

    /// Where a column starts, from the start of the block.
    func start(of column: Column) -> Int {
        Column.allCases.prefix(column.rawValue).reduce(0) { $0 + self[$1] }
    }

    /// A block's limits; what a reader accepts is larger, so that they may be raised without a new format.
    static let linesMaximum = 1 << 16
    static let rawBytesMaximum = 2 << 20
    static let readLinesMaximum = 1 << 20
    static let readBytesMaximum = 64 << 20

    /// Appends the row, as the newest version has it.
    func encode(to writer: inout ByteWriter) {
        writer.putVarint(UInt64(stream))
        writer.putVarint(UInt64(lines))
        writer.putVarint(UInt64(rawBytes))
        writer.putSigned(firstNanoseconds)
        writer.putVarint(UInt64(bitPattern: lastNanoseconds &- firstNanoseconds))
        writer.putVarint(firstPosition)
        writer.putVarint(lastPosition &- firstPosition)
        writer.putSigned(lastArrivalNanoseconds)
        writer.putVarint(UInt64(linesWithoutOrigin))
        writer.putVarint(offset)
        writer.putVarint(filterOffset)
        writer.putVarint(UInt64(filterBytes))
        writer.putVarint(UInt64(longestIndexedWord))
        writer.putVarint(UInt64(longestUnindexedWord))
        writer.putVarint(UInt64(longestIndexedRun))
        writer.putVarint(UInt64(longestUnindexedRun))
        severities.encode(to: &writer)
        for column in Column.allCases { writer.putVarint(UInt64(self[column])) }
    }

    /// Reads a row of a part with `streams` streams whose blocks end before `fileBytes`.
    static func decode(
        from reader: inout ByteReader, streams: Int, fileBytes: UInt64, version: UInt8
    ) throws -> BlockSummary {
        var row = BlockSummary()
        row.stream = try reader.count(upTo: max(0, streams - 1), "stream of a block")
        row.lines = try reader.count(upTo: readLinesMaximum, "number of lines")
        row.rawBytes = try reader.count(upTo: readBytesMaximum, "number of raw bytes")
        row.firstNanoseconds = try reader.signed()
        row.lastNanoseconds = row.firstNanoseconds &+ Int64(bitPattern: try reader.varint())
        row.firstPosition = try reader.varint()
        row.lastPosition = row.firstPosition &+ (try reader.varint())
        row.lastArrivalNanoseconds = try reader.signed()
        row.linesWithoutOrigin = try reader.count(upTo: row.lines, "number of lines without an origin")
        row.offset = try reader.varint()
        row.filterOffset = try reader.varint()
        row.filterBytes = try reader.count(upTo: WordFilter.bytesMaximum, "length of a filter")
        row.longestIndexedWord = try reader.count(upTo: readBytesMaximum, "length of a word")
        row.longestUnindexedWord = try reader.count(upTo: readBytesMaximum, "length of a word")
        // A run is no longer than the word that it is part of, but for the mark of a word with other letters.
        row.longestIndexedRun = row.longestIndexedWord
        row.longestUnindexedRun = row.longestUnindexedWord
        if version >= PartAnchor.versionWithSeverities {
            row.longestIndexedRun = try reader.count(upTo: readBytesMaximum, "length of a run")
            row.longestUnindexedRun = try reader.count(upTo: readBytesMaximum, "length of a run")
            row.severities = try SeverityCounts(decoding: &reader, lines: row.lines)
        }
        for column in Column.allCases {
            row[column] = try reader.count(upTo: readBytesMaximum, "length of a column")
        }
        guard row.lines > 0, row.firstNanoseconds <= row.lastNanoseconds, row.firstPosition <= row.lastPosition else {
            throw FormatError("a row of the block index is not in order")
        }
        guard row.offset <= fileBytes, UInt64(row.storedBytes) <= fileBytes - row.offset else {
            throw FormatError("a block lies outside the file")
        }
        guard row.filterOffset <= fileBytes, UInt64(row.filterBytes) <= fileBytes - row.filterOffset else {
            throw FormatError("a filter lies outside the file")
        }
        return row
    }
}
