internal import Synchronization
internal import Telemetry
internal import Transport
internal import Wire

/// `POST /api/v1/read`: samples for Prometheus servers and others that evaluate themselves (remote read), in one
/// message or, for who asks for it, as a stream of chunks.
struct RemoteReadAPI: Sendable {
    let dependencies: ServerDependencies
    let runner: QueryRunner

    /// A request is a list of matchers.
    private static let requestBytesMaximum = 4 << 20
    /// As Prometheus' `--storage.remote.read-sample-limit`.
    private let samplesMaximum = 50_000_000

    /// Answers every query of a request.
    func read(_ request: ServerRequest) async throws -> ListenerResponse {
        let body = try await request.snappyBody(upTo: RemoteReadAPI.requestBytesMaximum)
        let demand: RemoteReadDemand
        do {
            demand = try RemoteReadRequest.read(body)
        } catch {
            throw APIFailure(.badData, error.description)
        }
        let queries = demand.queries
        let text = queries.map { query in
            "{" + query.matchers.map(\.description).joined(separator: ",") + "}"
        }.joined(separator: " or ")
        let (source, samplesMaximum) = (dependencies.seriesSource, samplesMaximum)
        let description = QueryRunner.Description(
            kind: "remote read", text: text, of: request)
        guard !demand.isStreamed else { return try await stream(queries, description) }
        return try await runner.run(description) { context in
            let message = try RemoteReadAPI.answer(queries, source, samplesMaximum, context)
            let compressed = Compression.snappy.compress(message)
            try context.reserve(compressed.count)
            context.release(message.count)
            let fields = [
                HTTPField("Content-Type", "application/x-protobuf"), HTTPField("Content-Encoding", "snappy"),
            ]
            return ListenerResponse(status: 200, fields: fields, body: .bytes(compressed)).kept(in: context)
        }.value
    }

    /// An answer of chunks, of which no more than a piece is held at once: made while it is sent, at the client's pace.
    private func stream(
        _ queries: [RemoteReadQuery], _ description: QueryRunner.Description
    ) async throws -> ListenerResponse {
        let session = try runner.session(description)
        do {
            let pieces = RemoteReadPieces(queries, dependencies.seriesSource, samplesMaximum: samplesMaximum)
            // What cannot be answered at all is told before the answer has begun.
            let first = try await session.step { try pieces.next(in: $0) }
            session.beginAnswer()
            return ListenerResponse(
                status: 200, fields: [HTTPField("Content-Type", ChunkedReadResponse.contentType)],
                body: .stream { target in
                    do {
                        var piece = first
                        while let bytes = piece {
                            try await target.write(bytes)
                            piece = try await session.step { try pieces.next(in: $0) }
                        }
                        session.end()
                    } catch {
                        session.end(failure: error is ListenerDisconnected ? CancellationError() : error)
                        throw error
                    }
                })
        } catch {
            session.end(failure: error)
            throw error
        }
    }

    /// The message, which is reserved in `context`.
    private static func answer(
        _ queries: [RemoteReadQuery], _ source: any SeriesSource, _ samplesMaximum: Int, _ context: QueryContext
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
                    guard samples <= samplesMaximum else { throw APIFailure.tooManySamples(samplesMaximum) }
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

extension APIFailure {
    /// More samples than one request may read.
    fileprivate static func tooManySamples(_ maximum: Int) -> APIFailure {
        APIFailure(.badData, "exceeded sample limit (\(maximum)); narrow the range or the matchers")
    }
}

/// The chunks of a request's series, piece by piece: series by series, as its queries name them.
private final class RemoteReadPieces: Sendable {
    private struct State {
        var queries: [RemoteReadQuery]
        var queryIndex = -1
        var samples = 0
        var cursors = Cursors()
        var response = ChunkedReadResponse()
        var buffer = SampleBuffer()
    }

    /// Of one query. Used by one thread at a time, under the lock.
    private struct Cursors: @unchecked Sendable {
        var all: [any SeriesCursor] = []
        var next = 0

        mutating func take() -> (any SeriesCursor)? {
            guard next < all.count else { return nil }
            defer { next += 1 }
            return all[next]
        }
    }

    /// A piece is sent when it is that long.
    private static let pieceBytes = 256 << 10

    private let source: any SeriesSource
    private let samplesMaximum: Int
    private let state: Mutex<State>

    init(_ queries: [RemoteReadQuery], _ source: any SeriesSource, samplesMaximum: Int) {
        self.source = source
        self.samplesMaximum = samplesMaximum
        state = Mutex(State(queries: queries))
    }

    /// The next frames; nil at the end.
    func next(in context: QueryContext) throws -> [UInt8]? {
        try state.withLock { state in
            while let cursor = try nextCursor(&state, context) {
                state.response.beginSeries(cursor.labels, ofQuery: state.queryIndex)
                var reserved = 0
                defer { context.release(reserved) }
                while try cursor.next(into: &state.buffer) {
                    try context.check()
                    state.samples += state.buffer.timesMilliseconds.count
                    guard state.samples <= samplesMaximum else { throw APIFailure.tooManySamples(samplesMaximum) }
                    state.response.add(state.buffer)
                    guard state.response.byteCount > reserved else { continue }
                    try context.reserve(state.response.byteCount * 2 - reserved)
                    reserved = state.response.byteCount * 2
                }
                state.response.endSeries()
                if state.response.byteCount >= Self.pieceBytes { return state.response.takeFrames() }
            }
            let rest = state.response.takeFrames()
            return rest.isEmpty ? nil : rest
        }
    }

    private func nextCursor(_ state: inout State, _ context: QueryContext) throws -> (any SeriesCursor)? {
        while true {
            if let cursor = state.cursors.take() { return cursor }
            guard state.queryIndex + 1 < state.queries.count else { return nil }
            state.queryIndex += 1
            let query = state.queries[state.queryIndex]
            let request = SeriesRequest(matchers: query.matchers, range: query.range)
            state.cursors = Cursors(all: try source.select(request, in: context))
        }
    }
}
