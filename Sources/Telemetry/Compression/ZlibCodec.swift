internal import CZlib

/// gzip, zlib and bare deflate over zlib.
enum ZlibCodec {
    static func compress(_ bytes: UnsafeRawBufferPointer, as format: Compression, level: Int32) -> [UInt8] {
        var stream = z_stream()
        let started = vedette_deflate_init(&stream, level, windowBits(format))
        precondition(started == Z_OK, "zlib has no memory or was given level \(level)")
        defer { deflateEnd(&stream) }
        let capacity = Int(deflateBound(&stream, UInt(bytes.count)))
        return [UInt8](unsafeUninitializedCapacity: capacity) { target, count in
            var offset = 0
            repeat {
                // zlib counts in 32 bits: longer input and output go in pieces.
                let piece = min(bytes.count - offset, Int(Int32.max))
                stream.next_in = input(bytes, at: offset)
                stream.avail_in = UInt32(piece)
                stream.next_out = target.baseAddress?.advanced(by: count)
                let room = min(capacity - count, Int(Int32.max))
                stream.avail_out = UInt32(room)
                let isLast = offset + piece == bytes.count
                let code = deflate(&stream, isLast ? Z_FINISH : Z_NO_FLUSH)
                offset += piece - Int(stream.avail_in)
                count += room - Int(stream.avail_out)
                if code == Z_STREAM_END { return }
                precondition(code == Z_OK, "zlib within its bound failed with \(code)")
            } while true
        }
    }

    static func decompress(
        _ bytes: UnsafeRawBufferPointer, from format: Compression, bytesMaximum: Int
    ) throws(CompressionError) -> [UInt8] {
        var stream = z_stream()
        guard vedette_inflate_init(&stream, windowBits(format)) == Z_OK else {
            throw CompressionError(.damaged, format: format, reason: "no memory for a context")
        }
        defer { inflateEnd(&stream) }
        var restored = RestoredBytes(expecting: bytes.count &* 4, bytesMaximum: bytesMaximum)
        var offset = 0
        while true {
            let piece = min(bytes.count - offset, Int(Int32.max))
            var code = Z_OK
            restored.fill { target in
                stream.next_in = input(bytes, at: offset)
                stream.avail_in = UInt32(piece)
                let room = min(target.count, Int(Int32.max))
                stream.next_out = target.assumingMemoryBound(to: UInt8.self).baseAddress
                stream.avail_out = UInt32(room)
                code = inflate(&stream, Z_NO_FLUSH)
                return room - Int(stream.avail_out)
            }
            offset += piece - Int(stream.avail_in)
            if restored.isOverMaximum { throw .tooLarge(format, bytesMaximum: bytesMaximum) }
            switch code {
            case Z_STREAM_END:
                if offset == bytes.count { return restored.finish() }
                guard format == .gzip, inflateReset(&stream) == Z_OK else {
                    let rest = bytes.count - offset
                    throw CompressionError(.damaged, format: format, reason: "\(rest) bytes follow the stream")
                }
            case Z_OK: continue
            case Z_BUF_ERROR where offset < bytes.count: continue
            case Z_BUF_ERROR: throw CompressionError(.damaged, format: format, reason: "stream is cut short")
            default:
                let words = stream.msg.map { String(cString: $0) } ?? "error \(code)"
                throw CompressionError(.damaged, format: format, reason: words)
            }
        }
    }

    private static func windowBits(_ format: Compression) -> Int32 {
        switch format {
        case .gzip: 15 + 16
        case .deflate: -15
        default: 15
        }
    }

    private static func input(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> UnsafeMutablePointer<UInt8>? {
        // zlib never writes through next_in; its type is older than const.
        UnsafeMutablePointer(mutating: bytes.assumingMemoryBound(to: UInt8.self).baseAddress?.advanced(by: offset))
    }
}
