internal import Synchronization
internal import Telemetry

/// The bytes of one opened block: its restored descriptions, and its chunks, which are read when the first of them is
/// asked for.
final class BlockSource: Sendable {
    /// The restored descriptions.
    let descriptions: [UInt8]
    private let load: @Sendable () throws -> [UInt8]
    private let chunks = Mutex<[UInt8]?>(nil)

    /// A block whose chunks `load` reads.
    init(descriptions: [UInt8], load: @escaping @Sendable () throws -> [UInt8]) {
        self.descriptions = descriptions
        self.load = load
    }

    /// Restores an array.
    func bytes(_ array: StoredArray) throws -> [UInt8] {
        switch array.place {
        case .inline(let range): return Array(descriptions[range])
        case .plain(let range): return try withChunk(range) { Array($0) }
        case .compressed(let range):
            return try withChunk(range) { try BareZstd.decompress($0, count: array.count) }
        }
    }

    /// Hands out a chunk whose checksum holds.
    private func withChunk<Value>(_ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Value) throws -> Value
    {
        let all = try loaded()
        return try all.withUnsafeBytes { try body(try BlockSource.chunk($0, range)) }
    }

    /// A chunk of a block's chunks, if its checksum holds.
    static func chunk(_ raw: UnsafeRawBufferPointer, _ range: Range<Int>) throws -> UnsafeRawBufferPointer {
        let end = range.upperBound + ColumnReader.checksumBytes
        guard end <= raw.count else { throw FormatError("a chunk lies outside its block") }
        let chunk = UnsafeRawBufferPointer(rebasing: raw[range])
        let expected = UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: range.upperBound, as: UInt32.self))
        guard Section.checksum(of: chunk) == expected else {
            throw FormatError("the checksum of a chunk does not hold")
        }
        return chunk
    }

    private func loaded() throws -> [UInt8] {
        if let known = chunks.withLock({ $0 }) { return known }
        let bytes = try load()
        chunks.withLock { $0 = bytes }
        return bytes
    }
}
