internal import Telemetry
internal import Transport
internal import Wire

/// `POST /api/v1/read`: samples for Prometheus servers and others that evaluate themselves (remote read, answers of
/// samples; clients that would rather have chunks take these too).
struct RemoteReadAPI: Sendable {
    let dependencies: ServerDependencies
    let runner: QueryRunner

    /// A request is a list of matchers.
    private static let requestBytesMaximum = 4 << 20
    /// As Prometheus' `--storage.remote.read-sample-limit`.
    private static let samplesMaximum = 50_000_000

    /// Answers every query of a request.
    func read(_ request: ServerRequest) async throws -> ListenerResponse {
        let body = try await request.snappyBody(upTo: RemoteReadAPI.requestBytesMaximum)
        let queries: [RemoteReadQuery]
        do {
            queries = try RemoteReadRequest.read(body)
        } catch {
            throw APIFailure(.badData, error.description)
        }
        let text = queries.map { query in
            "{" + query.matchers.map(\.description).joined(separator: ",") + "}"
        }.joined(separator: " or ")
        let source = dependencies.seriesSource
        let description = QueryRunner.Description(
            kind: "remote read", text: text, of: request)
        return try await runner.run(description) { context in
            let message = try RemoteReadAPI.answer(queries, source, context)
            let compressed = Compression.snappy.compress(message)
            try context.reserve(compressed.count)
            context.release(message.count)
            let fields = [
                HTTPField("Content-Type", "application/x-protobuf"), HTTPField("Content-Encoding", "snappy"),
            ]
            return ListenerResponse(status: 200, fields: fields, body: .bytes(compressed)).kept(in: context)
        }.value
    }

    /// The message, which is reserved in `context`.
    private static func answer(
        _ queries: [RemoteReadQuery], _ source: any SeriesSource, _ context: QueryContext
    ) throws -> [UInt8] {
        var response = RemoteReadResponse()
        var (samples, reserved) = (0, 0)
        var buffer = SampleBuffer()
        for query in queries {
            let request = SeriesRequest(matchers: query.matchers, range: query.range)
            for cursor in try source.select(request, in: context) {
                response.beginSeries(cursor.labels)
                while try cursor.next(into: &buffer) {
                    try context.check()
                    samples += buffer.timesMilliseconds.count
                    guard samples <= samplesMaximum else {
                        throw APIFailure(
                            .badData, "exceeded sample limit (\(samplesMaximum)); narrow the range or the matchers")
                    }
                    response.add(buffer)
                    guard response.byteCount > reserved else { continue }
                    // Ahead of what grows, by as much as copying it takes.
                    let wanted = max(2 * response.byteCount, 64 << 10)
                    try context.reserve(wanted - reserved)
                    reserved = wanted
                }
                response.endSeries()
            }
            response.endResult()
        }
        let bytes = response.bytes
        if bytes.count > reserved { try context.reserve(bytes.count - reserved) }
        if bytes.count < reserved { context.release(reserved - bytes.count) }
        return bytes
    }
}
