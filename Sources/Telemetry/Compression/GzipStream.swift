internal import CZlib

/// Unpacks gzip piece by piece, for files that need not fit into memory.
package enum GzipStream {
    private static let pieceBytes = 64 << 10

    /// Restores what `read` gives (the number of bytes it put into the buffer, 0 at the end, less for an error) and
    /// hands it to `write`, which says whether it was taken. Throws when the input is damaged, cut short, stands for
    /// more than `bytesMaximum` bytes, or is not taken; what was handed over until then is part of the text.
    package static func decompress(
        bytesMaximum: Int, read: (UnsafeMutableRawBufferPointer) -> Int, write: (UnsafeRawBufferPointer) -> Bool
    ) throws(CompressionError) {
        var stream = z_stream()
        guard vedette_inflate_init(&stream, 15 + 16) == Z_OK else { throw damaged("no memory for a context") }
        defer { inflateEnd(&stream) }
        let input = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceBytes, alignment: 8)
        let output = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceBytes, alignment: 8)
        defer {
            input.deallocate()
            output.deallocate()
        }
        var total = 0
        var isWhole = false
        while true {
            let count = read(input)
            guard count >= 0 else { throw damaged("cannot be read") }
            if count == 0 {
                guard isWhole else { throw damaged("stream is cut short") }
                return
            }
            stream.next_in = input.assumingMemoryBound(to: UInt8.self).baseAddress
            stream.avail_in = UInt32(count)
            while stream.avail_in > 0 {
                // Another member may follow.
                if isWhole, inflateReset(&stream) != Z_OK { throw damaged("cannot go on") }
                repeat {
                    stream.next_out = output.assumingMemoryBound(to: UInt8.self).baseAddress
                    stream.avail_out = UInt32(pieceBytes)
                    let code = inflate(&stream, Z_NO_FLUSH)
                    guard code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR else {
                        throw damaged(stream.msg.map { String(cString: $0) } ?? "error \(code)")
                    }
                    isWhole = code == Z_STREAM_END
                    let restored = pieceBytes - Int(stream.avail_out)
                    total += restored
                    guard total <= bytesMaximum else { throw .tooLarge(.gzip, bytesMaximum: bytesMaximum) }
                    guard write(UnsafeRawBufferPointer(rebasing: output[..<restored])) else {
                        throw damaged("the restored text was not taken")
                    }
                } while !isWhole && stream.avail_out == 0
                if !isWhole { break }
            }
        }
    }

    private static func damaged(_ reason: String) -> CompressionError {
        CompressionError(.damaged, format: .gzip, reason: reason)
    }
}
