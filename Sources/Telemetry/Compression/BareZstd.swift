/// Zstandard frames without magic, size and checksum, for many small chunks whose length and checksum the caller keeps.
package enum BareZstd {
    /// Compresses `bytes` at zstd's `level`.
    package static func compress(_ bytes: UnsafeRawBufferPointer, level: Int) -> [UInt8] {
        ZstdCodec.shared.compress(bytes, level: Int32(level), isBare: true)
    }

    /// Restores a frame that stands for exactly `count` bytes.
    package static func decompress(_ bytes: UnsafeRawBufferPointer, count: Int) throws(CompressionError) -> [UInt8] {
        try ZstdCodec.shared.decompressBare(bytes, count: count)
    }
}
