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
    static let pieceBytes = 128 << 10
    /// After so many elements somebody asks whether the client is still there.
    private static let checkInterval = 256

    /// The answer as a response, which keeps `context`, and what is reserved in it, until the client has taken it.
    /// Builds a small one here, so this is called on a query thread.
    func response(acceptsGzip: Bool, in context: QueryContext) throws -> ListenerResponse {
        guard estimatedBytes > PiecewiseAnswer.wholeBytesMaximum else {
            var meter = AnswerMeter(context)
            try meter.cover(estimatedBytes)
            var writer = JSONWriter()
            open(&writer)
            for index in 0..<elementCount {
                element(&writer, index)
                guard index % PiecewiseAnswer.checkInterval == 0 else { continue }
                try context.check()
                try meter.cover(writer.output.count)
            }
            close(&writer)
            let bytes = writer.bytes
            try meter.cover(bytes.count)
            return try .json(bytes, acceptsGzip: acceptsGzip, reserved: meter.bytes, in: context)
        }
        try context.reserve(2 * PiecewiseAnswer.pieceBytes)
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
                withExtendedLifetime(context) {}
            })
    }
}

/// Sees to it that what an answer takes is reserved as it grows.
private struct AnswerMeter {
    private let context: QueryContext
    private(set) var bytes = 0

    init(_ context: QueryContext) {
        self.context = context
    }

    mutating func cover(_ length: Int) throws(QueryInterruption) {
        guard length > bytes else { return }
        try context.reserve(length - bytes)
        bytes = length
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

    /// As `compressedJSON`, for the answer of a query, in whose budget it is counted until the client has taken it.
    static func compressedJSON(
        _ bytes: [UInt8], acceptsGzip: Bool, in context: QueryContext
    ) throws -> ListenerResponse {
        try context.reserve(bytes.count)
        return try .json(bytes, acceptsGzip: acceptsGzip, reserved: bytes.count, in: context)
    }

    fileprivate static func json(
        _ bytes: [UInt8], acceptsGzip: Bool, reserved: Int, in context: QueryContext
    ) throws -> ListenerResponse {
        guard acceptsGzip, bytes.count >= PiecewiseAnswer.gzipBytesMinimum else {
            return .json(bytes, fields: [HTTPField("Vary", "Accept-Encoding")]).kept(in: context)
        }
        try context.check()
        let compressed = Compression.gzip.compress(bytes, level: 1)
        try context.reserve(compressed.count)
        context.release(reserved)
        let fields = [HTTPField("Vary", "Accept-Encoding"), HTTPField("Content-Encoding", "gzip")]
        return .json(compressed, fields: fields).kept(in: context)
    }

    /// Longer bodies are written in pieces: writing copies.
    private static let pieceBytesMinimum = 1 << 20

    /// The response, which keeps `context` until the client has taken it: written at its pace where it is long.
    func kept(in context: QueryContext) -> ListenerResponse {
        guard case .bytes(let bytes) = body else { return self }
        var response = self
        guard bytes.count >= ListenerResponse.pieceBytesMinimum else {
            response.kept = context
            return response
        }
        response.fields.append(HTTPField("Content-Length", String(bytes.count)))
        response.body = .stream { target in
            var rest = bytes[...]
            while !rest.isEmpty {
                try await target.write(Array(rest.prefix(PiecewiseAnswer.pieceBytes)))
                rest = rest.dropFirst(PiecewiseAnswer.pieceBytes)
            }
            withExtendedLifetime(context) {}
        }
        return response
    }
}
