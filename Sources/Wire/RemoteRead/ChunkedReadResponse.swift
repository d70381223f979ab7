package import Telemetry

/// Writes a stream of `prometheus.ChunkedReadResponse` (prompb/remote.proto of Prometheus): frames of one series each,
/// every one with its length as a varint and the CRC-32C of its message in big-endian order before it.
package struct ChunkedReadResponse: Sendable {
    /// What goes into the header field of such an answer.
    package static let contentType = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"

    /// A frame is ended when its chunks are that long: as Prometheus' `--storage.remote.read-max-bytes-in-frame`.
    private static let frameBytesMaximum = 1 << 20

    private var frames = ByteWriter()
    private var labels = ProtobufEncoder()
    private var chunks = ProtobufEncoder()
    private var queryIndex = 0

    /// A stream without a frame.
    package init() {}

    /// What was written and not taken, the frame under way included.
    package var byteCount: Int { frames.count + labels.bytes.count + chunks.bytes.count }

    /// Begins a series of a query, which is numbered from 0.
    package mutating func beginSeries(_ series: Labels, ofQuery index: Int) {
        queryIndex = index
        labels = ProtobufEncoder()
        chunks = ProtobufEncoder()
        series.forEachPair { name, value in
            labels.message(1) { label in
                label.run(1, Array(name))
                label.run(2, Array(value))
            }
        }
    }

    /// Adds samples of the series, later than those before.
    package mutating func add(_ buffer: SampleBuffer) {
        for chunk in SampleChunk.chunks(of: buffer) {
            chunks.message(2) { message in
                message.integer(1, UInt64(bitPattern: chunk.startMilliseconds))
                message.integer(2, UInt64(bitPattern: chunk.endMilliseconds))
                message.integer(3, chunk.encoding.rawValue)
                message.run(4, chunk.data)
            }
            if chunks.bytes.count >= ChunkedReadResponse.frameBytesMaximum { endFrame() }
        }
    }

    /// Ends the series. One without samples leaves nothing.
    package mutating func endSeries() { endFrame() }

    private mutating func endFrame() {
        guard chunks.bytes.count > 0 else { return }
        var message = ProtobufEncoder()
        message.run(1, labels.bytes.bytes + chunks.bytes.bytes)
        if queryIndex > 0 { message.integer(2, UInt64(queryIndex)) }
        let bytes = message.bytes.bytes
        frames.putVarint(UInt64(bytes.count))
        frames.putFixed(Checksum.crc32c(bytes).byteSwapped)
        frames.put(bytes)
        chunks = ProtobufEncoder()
    }

    /// Takes the frames that are whole.
    package mutating func takeFrames() -> [UInt8] {
        defer { frames = ByteWriter() }
        return frames.bytes
    }
}
