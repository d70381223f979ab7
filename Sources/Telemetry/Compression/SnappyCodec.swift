internal import CSnappy

/// Snappy blocks over libsnappy.
enum SnappyCodec {
    static func compress(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        let capacity = snappy_max_compressed_length(bytes.count)
        return [UInt8](unsafeUninitializedCapacity: capacity) { target, count in
            var written = capacity
            let source = bytes.assumingMemoryBound(to: CChar.self).baseAddress
            let output = UnsafeMutableRawBufferPointer(target).assumingMemoryBound(to: CChar.self).baseAddress
            // Within its bound the compressor cannot fail.
            snappy_compress(source, bytes.count, output, &written)
            count = written
        }
    }

    static func decompress(
        _ bytes: UnsafeRawBufferPointer, bytesMaximum: Int
    ) throws(CompressionError) -> [UInt8] {
        let source = bytes.assumingMemoryBound(to: CChar.self).baseAddress
        var size = 0
        guard snappy_uncompressed_length(source, bytes.count, &size) == SNAPPY_OK else {
            throw CompressionError(.damaged, format: .snappy, reason: "no size at its start")
        }
        guard size <= bytesMaximum else { throw .tooLarge(.snappy, bytesMaximum: bytesMaximum) }
        // The size is the sender's word: a copy of three bytes stands for at most 64, so more is a lie that would
        // only ask for memory.
        guard size <= bytes.count &* 32 &+ 64 else {
            throw CompressionError(.damaged, format: .snappy, reason: "\(bytes.count) bytes cannot stand for \(size)")
        }
        var isWhole = false
        let restored = [UInt8](unsafeUninitializedCapacity: size) { target, count in
            var written = size
            let output = UnsafeMutableRawBufferPointer(target).assumingMemoryBound(to: CChar.self).baseAddress
            isWhole = snappy_uncompress(source, bytes.count, output, &written) == SNAPPY_OK && written == size
            count = isWhole ? written : 0
        }
        guard isWhole else { throw CompressionError(.damaged, format: .snappy, reason: "block is damaged") }
        return restored
    }
}
