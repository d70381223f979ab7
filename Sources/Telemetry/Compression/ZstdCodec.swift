internal import CZstd
internal import Synchronization

/// Zstandard over libzstd, with a small stock of contexts: making one costs more than compressing a few kilobytes.
final class ZstdCodec: Sendable {
    static let shared = ZstdCodec()

    /// The most idle contexts of either kind that are kept.
    static let contextsMaximum = 8
    /// The largest window a frame of unknown size may ask for: 32 MiB, which covers every level up to 21.
    static let windowLogMaximum: Int32 = 25

    /// A context while nobody uses it. Contexts are handed from thread to thread, never shared.
    private struct Idle: @unchecked Sendable {
        var compressors: [OpaquePointer] = []
        var decompressors: [OpaquePointer] = []
    }

    private let idle = Mutex(Idle())

    func compress(_ bytes: UnsafeRawBufferPointer, level: Int32, isBare: Bool = false) -> [UInt8] {
        guard let context = idle.withLock({ $0.compressors.popLast() }) ?? ZSTD_createCCtx() else {
            preconditionFailure("no memory for a zstd context")
        }
        defer { keep(compressor: context) }
        _ = ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters)
        _ = ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)
        if isBare {
            _ = ZSTD_CCtx_setParameter(context, ZSTD_c_experimentalParam2, 1)
            _ = ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0)
        } else {
            _ = ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
        }
        let capacity = ZSTD_compressBound(bytes.count)
        return [UInt8](unsafeUninitializedCapacity: capacity) { target, count in
            let written = ZSTD_compress2(context, target.baseAddress, capacity, bytes.baseAddress, bytes.count)
            precondition(ZSTD_isError(written) == 0, "zstd within its bound failed: out of memory")
            count = written
        }
    }

    func decompress(_ bytes: UnsafeRawBufferPointer, bytesMaximum: Int) throws(CompressionError) -> [UInt8] {
        guard let context = idle.withLock({ $0.decompressors.popLast() }) ?? ZSTD_createDCtx() else {
            throw CompressionError(.damaged, format: .zstd, reason: "no memory for a context")
        }
        defer { keep(decompressor: context) }
        _ = ZSTD_DCtx_reset(context, ZSTD_reset_session_and_parameters)
        _ = ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, ZstdCodec.windowLogMaximum)
        let size = ZSTD_getFrameContentSize(bytes.baseAddress, bytes.count)
        // The library's "size is not known" and "not a frame" are 2^64-1 and 2^64-2.
        let isKnown = size < UInt64.max - 1
        if isKnown && size > UInt64(bytesMaximum) { throw .tooLarge(.zstd, bytesMaximum: bytesMaximum) }
        if isKnown && ZSTD_findFrameCompressedSize(bytes.baseAddress, bytes.count) == bytes.count {
            return try whole(bytes, size: Int(size), context)
        }
        return try streamed(bytes, bytesMaximum: bytesMaximum, context)
    }

    /// A frame without magic that stands for exactly `count` bytes.
    func decompressBare(_ bytes: UnsafeRawBufferPointer, count: Int) throws(CompressionError) -> [UInt8] {
        guard let context = idle.withLock({ $0.decompressors.popLast() }) ?? ZSTD_createDCtx() else {
            throw CompressionError(.damaged, format: .zstd, reason: "no memory for a context")
        }
        defer { keep(decompressor: context) }
        _ = ZSTD_DCtx_reset(context, ZSTD_reset_session_and_parameters)
        _ = ZSTD_DCtx_setParameter(context, ZSTD_d_experimentalParam1, 1)
        let restored = try whole(bytes, size: count, context)
        guard restored.count == count else {
            throw CompressionError(.damaged, format: .zstd, reason: "restored size is not \(count) bytes")
        }
        return restored
    }

    /// One frame of known size: no window is needed, and memory is touched only as far as bytes are restored.
    private func whole(
        _ bytes: UnsafeRawBufferPointer, size: Int, _ context: OpaquePointer
    ) throws(CompressionError) -> [UInt8] {
        var code = 0
        let restored = [UInt8](unsafeUninitializedCapacity: size) { target, count in
            code = ZSTD_decompressDCtx(context, target.baseAddress, size, bytes.baseAddress, bytes.count)
            count = ZSTD_isError(code) == 0 ? code : 0
        }
        guard ZSTD_isError(code) == 0 else { throw damaged(code) }
        return restored
    }

    /// Several frames, or frames that do not say their size.
    private func streamed(
        _ bytes: UnsafeRawBufferPointer, bytesMaximum: Int, _ context: OpaquePointer
    ) throws(CompressionError) -> [UInt8] {
        var restored = RestoredBytes(expecting: bytes.count &* 4, bytesMaximum: bytesMaximum)
        var input = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
        var code = 1
        while true {
            let before = input.pos
            var written = 0
            restored.fill { target in
                var output = ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
                code = ZSTD_decompressStream(context, &output, &input)
                written = output.pos
                return output.pos
            }
            guard ZSTD_isError(code) == 0 else { throw damaged(code) }
            if restored.isOverMaximum { throw .tooLarge(.zstd, bytesMaximum: bytesMaximum) }
            if code == 0 && input.pos == input.size { return restored.finish() }
            if input.pos == before && written == 0 {
                throw CompressionError(.damaged, format: .zstd, reason: "frame is cut short")
            }
        }
    }

    private func damaged(_ code: Int) -> CompressionError {
        let words = ZSTD_getErrorName(code).map { String(cString: $0).lowercased() } ?? "damaged frame"
        return CompressionError(.damaged, format: .zstd, reason: words)
    }

    private func keep(compressor context: OpaquePointer) {
        let isKept = idle.withLock { idle in
            guard idle.compressors.count < ZstdCodec.contextsMaximum else { return false }
            idle.compressors.append(context)
            return true
        }
        if !isKept { ZSTD_freeCCtx(context) }
    }

    private func keep(decompressor context: OpaquePointer) {
        let isKept = idle.withLock { idle in
            guard idle.decompressors.count < ZstdCodec.contextsMaximum else { return false }
            idle.decompressors.append(context)
            return true
        }
        if !isKept { ZSTD_freeDCtx(context) }
    }
}
