internal import CKernels
internal import Telemetry

/// Writes the two streams of a block: the descriptions of its columns, and the chunks with their larger arrays.
///
/// Small arrays stay with the descriptions, which are compressed together; a chunk stands alone, so that what a search
/// does not need is neither read nor restored.
struct ColumnWriter {
    var descriptions = ByteWriter(capacity: 4096)
    private(set) var chunks = ByteWriter(capacity: 64 << 10)
    /// zstd's level for chunks: 1 at once, higher when parts are merged.
    let level: Int

    /// Arrays up to this length stay with the descriptions.
    static let inlineBytesMaximum = 256

    /// How an array is stored.
    enum Form: UInt8 {
        case inline = 0
        case plain = 1
        case compressed = 2
    }

    /// A writer whose chunks are compressed at `level`.
    init(level: Int) {
        self.level = level
    }

    /// Appends an array of bytes; its length is known to the reader when `hasLength` is false.
    mutating func put(_ array: UnsafeRawBufferPointer, hasLength: Bool = true, isRandom: Bool = false) {
        if hasLength { descriptions.putVarint(UInt64(array.count)) }
        guard array.count > ColumnWriter.inlineBytesMaximum else {
            descriptions.put(Form.inline.rawValue)
            descriptions.put(array)
            return
        }
        if !isRandom {
            let compressed = BareZstd.compress(array, level: level)
            if compressed.count < array.count - array.count / 64 {
                descriptions.put(Form.compressed.rawValue)
                descriptions.putVarint(UInt64(compressed.count))
                return compressed.withUnsafeBytes { putChunk($0) }
            }
        }
        descriptions.put(Form.plain.rawValue)
        putChunk(array)
    }

    /// Appends an array of bytes.
    mutating func put(_ array: [UInt8], hasLength: Bool = true) {
        array.withUnsafeBytes { put($0, hasLength: hasLength) }
    }

    private mutating func putChunk(_ bytes: UnsafeRawBufferPointer) {
        chunks.put(bytes)
        chunks.putFixed(vedette_crc32c(0, bytes.baseAddress, bytes.count))
    }
}

/// An array of a block's column, not restored yet.
struct StoredArray: Sendable {
    /// Where it lies: among the descriptions, or in the chunks.
    enum Place: Sendable {
        case inline(Range<Int>)
        case plain(Range<Int>)
        case compressed(Range<Int>)
    }

    let place: Place
    let count: Int
}

/// Reads the descriptions of a block's columns in the order in which they were written.
struct ColumnReader {
    var bytes: ByteReader
    private var chunkOffset = 0
    private let chunkBytes: Int
    /// Where the chunks that were named so far lie.
    private(set) var chunks: [Range<Int>] = []

    /// The bytes of a chunk's checksum behind it.
    static let checksumBytes = 4

    /// A reader of descriptions whose chunks take `chunkBytes` bytes.
    init(_ descriptions: UnsafeRawBufferPointer, chunkBytes: Int) {
        bytes = ByteReader(descriptions)
        self.chunkBytes = chunkBytes
    }

    /// Whether every chunk was named.
    var isAtEnd: Bool { bytes.isAtEnd && chunkOffset == chunkBytes }

    /// The next array, of `count` bytes or, without one, of its own length up to `maximum`.
    mutating func array(_ count: Int? = nil, upTo maximum: Int = BlockSummary.readBytesMaximum) throws -> StoredArray {
        let count = try count ?? bytes.count(upTo: maximum, "length of an array")
        let code = try bytes.byte()
        guard let form = ColumnWriter.Form(rawValue: code) else { throw FormatError("an array has the form \(code)") }
        switch form {
        case .inline:
            let start = bytes.offset
            _ = try bytes.slice(count)
            return StoredArray(place: .inline(start..<start + count), count: count)
        case .plain:
            return StoredArray(place: .plain(try chunk(count)), count: count)
        case .compressed:
            let stored = try bytes.count(upTo: BlockSummary.readBytesMaximum, "length of a chunk")
            return StoredArray(place: .compressed(try chunk(stored)), count: count)
        }
    }

    private mutating func chunk(_ count: Int) throws -> Range<Int> {
        let range = chunkOffset..<chunkOffset + count
        chunkOffset += count + ColumnReader.checksumBytes
        guard chunkOffset <= chunkBytes else { throw FormatError("a chunk lies outside its block") }
        chunks.append(range)
        return range
    }
}
