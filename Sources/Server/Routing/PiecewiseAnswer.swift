internal import Telemetry
internal import Transport
internal import Wire

/// A JSON answer made of many elements: built whole (and compressed) when it is small, written piece by piece at the
/// client's pace when it is large, so that an answer never stands in memory twice.
struct PiecewiseAnswer: Sendable {
    /// About how long the answer will be.
    var estimatedBytes: Int
    var elementCount: Int
    var open: @Sendable (inout JSONWriter) -> Void
    var element: @Sendable (inout JSONWriter, Int) -> Void
    var close: @Sendable (inout JSONWriter) -> Void

    /// Longer answers are streamed.
    static let wholeBytesMaximum = 4 << 20
    /// Shorter ones are not worth compressing.
    static let gzipBytesMinimum = 2_048
    private static let pieceBytes = 128 << 10

    /// The answer as a response. Builds a small one here, so this is called on a query thread.
    func response(acceptsGzip: Bool) -> ListenerResponse {
        guard estimatedBytes > PiecewiseAnswer.wholeBytesMaximum else {
            var writer = JSONWriter()
            open(&writer)
            for index in 0..<elementCount { element(&writer, index) }
            close(&writer)
            return .compressedJSON(writer.bytes, acceptsGzip: acceptsGzip)
        }
        let type = HTTPField("Content-Type", "application/json")
        return ListenerResponse(
            status: 200, fields: [type],
            body: .stream { [self] target in
                var writer = JSONWriter()
                open(&writer)
                for index in 0..<elementCount {
                    element(&writer, index)
                    if writer.output.count >= PiecewiseAnswer.pieceBytes { try await target.write(writer.takePiece()) }
                }
                close(&writer)
                try await target.write(writer.takePiece())
            })
    }
}

extension ListenerResponse {
    /// A JSON body, compressed where the client takes it and it pays.
    static func compressedJSON(_ bytes: [UInt8], acceptsGzip: Bool) -> ListenerResponse {
        let vary = HTTPField("Vary", "Accept-Encoding")
        guard acceptsGzip, bytes.count >= PiecewiseAnswer.gzipBytesMinimum else { return .json(bytes, fields: [vary]) }
        let fields = [vary, HTTPField("Content-Encoding", "gzip")]
        return .json(Compression.gzip.compress(bytes, level: 1), fields: fields)
    }
}
