internal import CLZ4

/// LZ4 blocks and frames over liblz4.
enum LZ4Codec {
    /// The largest input of one block (LZ4_MAX_INPUT_SIZE).
    static let blockBytesMaximum = 0x7e00_0000

    static func compressBlock(_ bytes: UnsafeRawBufferPointer, level: Int32) -> [UInt8] {
        precondition(bytes.count <= blockBytesMaximum, "an LZ4 block holds at most \(blockBytesMaximum) bytes")
        let capacity = LZ4_compressBound(Int32(bytes.count))
        return [UInt8](unsafeUninitializedCapacity: Int(capacity)) { target, count in
            let source = bytes.assumingMemoryBound(to: CChar.self).baseAddress
            let output = UnsafeMutableRawBufferPointer(target).assumingMemoryBound(to: CChar.self).baseAddress
            // Within its bound the compressor cannot fail.
            count = Int(LZ4_compress_fast(source, output, Int32(bytes.count), capacity, max(1, -level)))
        }
    }

    static func decompressBlock(
        _ bytes: UnsafeRawBufferPointer, bytesMaximum: Int
    ) throws(CompressionError) -> [UInt8] {
        // A block byte stands for at most 255 bytes, so this capacity is enough for any honest block.
        let capacity = min(bytesMaximum, bytes.count &* 255 &+ 64, blockBytesMaximum)
        guard bytes.count <= blockBytesMaximum else {
            throw CompressionError(.damaged, format: .lz4Block, reason: "block is too long")
        }
        var written: Int32 = 0
        let restored = [UInt8](unsafeUninitializedCapacity: capacity) { target, count in
            let source = bytes.assumingMemoryBound(to: CChar.self).baseAddress
            let output = UnsafeMutableRawBufferPointer(target).assumingMemoryBound(to: CChar.self).baseAddress
            written = LZ4_decompress_safe(source, output, Int32(bytes.count), Int32(capacity))
            count = max(0, Int(written))
        }
        guard written >= 0 else {
            throw CompressionError(
                .damaged, format: .lz4Block, reason: "block is damaged or stands for more than \(capacity) bytes")
        }
        return restored
    }

    static func compressFrame(_ bytes: UnsafeRawBufferPointer, level: Int32) -> [UInt8] {
        var preferences = LZ4F_preferences_t()
        preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled
        preferences.frameInfo.contentSize = UInt64(bytes.count)
        preferences.frameInfo.blockSizeID = LZ4F_max4MB
        preferences.compressionLevel = level
        let capacity = LZ4F_compressFrameBound(bytes.count, &preferences)
        return [UInt8](unsafeUninitializedCapacity: capacity) { target, count in
            let written = LZ4F_compressFrame(
                target.baseAddress, capacity, bytes.baseAddress, bytes.count, &preferences)
            precondition(LZ4F_isError(written) == 0, "an LZ4 frame within its bound failed: out of memory")
            count = written
        }
    }

    static func decompressFrame(
        _ bytes: UnsafeRawBufferPointer, bytesMaximum: Int
    ) throws(CompressionError) -> [UInt8] {
        var created: OpaquePointer?
        _ = LZ4F_createDecompressionContext(&created, UInt32(LZ4F_VERSION))
        guard let context = created else {
            throw CompressionError(.damaged, format: .lz4Frame, reason: "no memory for a context")
        }
        defer { LZ4F_freeDecompressionContext(context) }
        var restored = RestoredBytes(expecting: bytes.count * 4, bytesMaximum: bytesMaximum)
        var offset = 0
        var hint = 1
        repeat {
            var consumed = bytes.count - offset
            let start = bytes.baseAddress?.advanced(by: offset)
            var produced = 0
            restored.fill { target in
                produced = target.count
                hint = LZ4F_decompress(context, target.baseAddress, &produced, start, &consumed, nil)
                return LZ4F_isError(hint) == 0 ? produced : 0
            }
            guard LZ4F_isError(hint) == 0 else {
                throw CompressionError(.damaged, format: .lz4Frame, reason: words(hint))
            }
            if restored.isOverMaximum { throw .tooLarge(.lz4Frame, bytesMaximum: bytesMaximum) }
            offset += consumed
            if hint != 0 && consumed == 0 && produced == 0 {
                throw CompressionError(.damaged, format: .lz4Frame, reason: "frame is cut short")
            }
        } while hint != 0
        guard offset == bytes.count else {
            throw CompressionError(
                .damaged, format: .lz4Frame, reason: "\(bytes.count - offset) bytes follow the frame")
        }
        return restored.finish()
    }

    private static func words(_ code: Int) -> String {
        LZ4F_getErrorName(code).map { String(cString: $0) } ?? "damaged frame"
    }
}
