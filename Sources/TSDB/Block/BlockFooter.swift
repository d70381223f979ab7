internal import Disk
internal import Telemetry

/// The last bytes of a block file: what it holds, and where its index is.
struct BlockFooter: Sendable, Equatable {
    /// A part of the index in the file.
    struct Section: Sendable, Equatable {
        var kind: UInt8
        var offset: UInt64
        var byteCount: Int
        var checksum: UInt32
    }

    /// More sections than this are damage.
    static let sectionsMaximum = 64
    /// A footer is a few hundred bytes.
    static let byteCountMaximum = 16 << 10

    /// The format of the file.
    private(set) var version = BlockFormat.version
    var sequence: BlockSequence
    var history: BlockHistory
    /// The highest place of the log that any group is sealed through.
    var sealedThrough: LogPosition
    var times: TimeRange
    var seriesCount: Int
    var sampleCount: Int
    var sections: [Section] = []

    /// The section of that kind, which every whole block has.
    func section(_ kind: BlockFormat.SectionKind) -> Section? {
        sections.first { $0.kind & ~BlockFormat.compressedFlag == kind.rawValue }
    }

    /// Footer and trailer for a file that ends at `offset` so far.
    func encode(at offset: UInt64, seed: UInt32) -> [UInt8] {
        var writer = ByteWriter()
        sequence.encode(into: &writer)
        writer.putVarint(sealedThrough.ordinal)
        writer.putSigned(times.startMilliseconds)
        writer.putSigned(times.endMilliseconds)
        writer.putVarint(UInt64(seriesCount))
        writer.putVarint(UInt64(sampleCount))
        writer.putVarint(UInt64(sections.count))
        for section in sections {
            writer.put(section.kind)
            writer.putVarint(section.offset)
            writer.putVarint(UInt64(section.byteCount))
            writer.putFixed(section.checksum)
        }
        history.encode(into: &writer)
        let length = UInt32(writer.count)
        writer.putFixed(offset)
        writer.putFixed(length)
        writer.putFixed(writer.bytes.withUnsafeBytes { BlockFormat.checksum($0, at: offset, seed: seed) })
        writer.put(BlockFormat.version)
        writer.put([0, 0, 0])
        writer.putFixed(BlockFormat.magic)
        return writer.bytes
    }

    /// Reads the footer of a block of format `version`, whose sections end at `sectionsEnd`.
    init(
        parsing bytes: UnsafeRawBufferPointer, version: UInt8, endingAt sectionsEnd: UInt64
    ) throws(ByteError) {
        var reader = ByteReader(bytes)
        self.version = version
        sequence = try BlockSequence(from: &reader)
        history = BlockHistory(silent: sequence)
        sealedThrough = LogPosition(try reader.varint())
        let start = try reader.signed()
        times = TimeRange(startMilliseconds: start, endMilliseconds: try reader.signed())
        seriesCount = try reader.count(upTo: Int(UInt32.max) - 1, "series")
        sampleCount = try reader.count(upTo: Int.max, "samples")
        for _ in 0..<(try reader.count(upTo: Self.sectionsMaximum, "sections")) {
            let section = Section(
                kind: try reader.byte(), offset: try reader.varint(),
                byteCount: try reader.count(upTo: BlockFormat.sectionByteCountMaximum, "section"),
                checksum: try reader.fixed())
            guard section.offset <= sectionsEnd, UInt64(section.byteCount) <= sectionsEnd - section.offset else {
                throw ByteError(offset: reader.offset, reason: "section \(section.kind) lies outside the file")
            }
            sections.append(section)
        }
        if version >= BlockFormat.historyVersion { history = try BlockHistory(from: &reader) }
        guard reader.isAtEnd else { throw ByteError(offset: reader.offset, reason: "bytes behind the footer") }
    }

    /// A footer without sections yet.
    init(
        sequence: BlockSequence, history: BlockHistory, sealedThrough: LogPosition, times: TimeRange,
        seriesCount: Int, sampleCount: Int
    ) {
        self.sequence = sequence
        self.history = history
        self.sealedThrough = sealedThrough
        self.times = times
        self.seriesCount = seriesCount
        self.sampleCount = sampleCount
    }
}
