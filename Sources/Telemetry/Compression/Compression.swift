/// The compressed formats of this house, over liblz4, libsnappy, libzstd and zlib. Thread-safe; contexts are reused.
///
/// Restoring always has a maximum, so that a few hostile bytes cannot ask for much memory: memory is touched only as
/// far as bytes really arrive, and one byte over the maximum is an error.
package enum Compression: String, Sendable, CaseIterable {
    /// A bare LZ4 block: no length and no checksum, the caller keeps both.
    case lz4Block = "lz4 block"
    /// An LZ4 frame with its content's size and checksum (lz4_Frame_format.md 1.6).
    case lz4Frame = "lz4 frame"
    /// A Snappy block with its content's size and no checksum (snappy's format_description.txt): remote write.
    case snappy
    /// A Zstandard frame with its content's size and checksum (RFC 8878).
    case zstd
    /// One or more gzip members (RFC 1952).
    case gzip
    /// Deflate within a zlib envelope (RFC 1950), which HTTP calls "deflate".
    case zlib
    /// Bare deflate (RFC 1951).
    case deflate

    /// The level used when none is given: fast ones, as for data on its way into a log.
    package var levelDefault: Int {
        switch self {
        case .lz4Block, .lz4Frame, .snappy: 0
        case .zstd: 1
        case .gzip, .zlib, .deflate: 6
        }
    }

    /// Compresses `bytes`. The level is the library's own scale (zstd 1...22, zlib 1...9; LZ4: 0 is fast, -n is n times
    /// as hasty, 3...12 high for frames;
    /// Snappy has none).
    package func compress(_ bytes: UnsafeRawBufferPointer, level: Int? = nil) -> [UInt8] {
        let level = Int32(level ?? levelDefault)
        return switch self {
        case .lz4Block: LZ4Codec.compressBlock(bytes, level: level)
        case .lz4Frame: LZ4Codec.compressFrame(bytes, level: level)
        case .snappy: SnappyCodec.compress(bytes)
        case .zstd: ZstdCodec.shared.compress(bytes, level: level)
        case .gzip, .zlib, .deflate: ZlibCodec.compress(bytes, as: self, level: level)
        }
    }

    /// Compresses `bytes`.
    package func compress(_ bytes: [UInt8], level: Int? = nil) -> [UInt8] {
        bytes.withUnsafeBytes { compress($0, level: level) }
    }

    /// Restores `bytes`, which may stand for at most `bytesMaximum` bytes. All of `bytes` must be used.
    package func decompress(_ bytes: UnsafeRawBufferPointer, bytesMaximum: Int) throws(CompressionError) -> [UInt8] {
        precondition(bytesMaximum >= 0, "a maximum cannot be negative")
        return switch self {
        case .lz4Block: try LZ4Codec.decompressBlock(bytes, bytesMaximum: bytesMaximum)
        case .lz4Frame: try LZ4Codec.decompressFrame(bytes, bytesMaximum: bytesMaximum)
        case .snappy: try SnappyCodec.decompress(bytes, bytesMaximum: bytesMaximum)
        case .zstd: try ZstdCodec.shared.decompress(bytes, bytesMaximum: bytesMaximum)
        case .gzip, .zlib, .deflate: try ZlibCodec.decompress(bytes, from: self, bytesMaximum: bytesMaximum)
        }
    }

    /// Restores `bytes`, which may stand for at most `bytesMaximum` bytes.
    package func decompress(_ bytes: [UInt8], bytesMaximum: Int) throws(CompressionError) -> [UInt8] {
        let result = bytes.withUnsafeBytes { raw in
            Result { () throws(CompressionError) in try decompress(raw, bytesMaximum: bytesMaximum) }
        }
        return try result.get()
    }
}

/// A buffer that doubles as restored bytes arrive and never passes its maximum by more than the one byte that proves
/// it.
struct RestoredBytes {
    private(set) var bytes: [UInt8]
    private(set) var count = 0
    private let bytesMaximum: Int

    init(expecting capacity: Int, bytesMaximum: Int) {
        self.bytesMaximum = bytesMaximum
        bytes = [UInt8](repeating: 0, count: Swift.min(Swift.max(capacity, 256), bytesMaximum &+ 1, 1 << 20))
    }

    var isOverMaximum: Bool { count > bytesMaximum }

    /// Lets `body` write behind what is there; `body` returns how much it wrote.
    mutating func fill<Failure: Error>(
        _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Int
    ) throws(Failure) {
        if count == bytes.count {
            let wanted = Swift.min(bytes.count * 2, bytesMaximum &+ 1)
            bytes += [UInt8](repeating: 0, count: Swift.max(wanted - bytes.count, 1))
        }
        let start = count
        let result = bytes.withUnsafeMutableBytes { raw in
            Result { () throws(Failure) in try body(UnsafeMutableRawBufferPointer(rebasing: raw[start...])) }
        }
        count += try result.get()
    }

    /// What was restored.
    consuming func finish() -> [UInt8] {
        bytes.removeLast(bytes.count - count)
        return bytes
    }
}
