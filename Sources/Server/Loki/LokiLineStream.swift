internal import Query
internal import Telemetry
internal import Transport
internal import Wire

/// A long answer of lines, written while it is read, at its client's pace and in the memory of one page.
///
/// Lines come in the order of the query over all streams, so a stream that has lines in several pages stands in
/// `result` once for each of them; clients put lines together by time, as they must with Loki. Statistics stand at the
/// end.
struct LokiLineStream: Sendable {
    private static let pageBytes = 1 << 20

    private let pages: LogLinePages
    private let first: LogLinePages.Page
    private let session: QuerySession
    private let isCategorized: Bool
    private let direction: LogDirection

    /// The answer whose first page is read.
    init(
        _ pages: LogLinePages, _ first: LogLinePages.Page, _ session: QuerySession, isCategorized: Bool,
        direction: LogDirection
    ) {
        (self.pages, self.first, self.session) = (pages, first, session)
        (self.isCategorized, self.direction) = (isCategorized, direction)
    }

    /// The answer. What goes wrong after its head cuts it off.
    var response: ListenerResponse {
        let type = HTTPField("Content-Type", "application/json")
        return ListenerResponse(
            status: 200, fields: [type],
            body: .stream { target in
                do {
                    try await write(to: target)
                    session.end()
                } catch {
                    session.end(failure: error is ListenerDisconnected ? CancellationError() : error)
                    throw error
                }
            })
    }

    private func write(to target: ListenerWriter) async throws {
        var writer = JSONWriter()
        LokiAnswer.openStreams(isCategorized: isCategorized, &writer)
        var page = first
        var lines = 0
        while true {
            lines += page.lines.count
            var streams = page.lines.byLabels
            page.lines = []
            if isCategorized { streams = LokiAnswer.categorized(streams, direction) }
            for stream in streams {
                LokiAnswer.write(stream, isCategorized: isCategorized, &writer)
                if writer.output.count >= PiecewiseAnswer.pieceBytes { try await target.write(writer.takePiece()) }
            }
            session.context.release(page.bytes)
            if page.isLast { break }
            page = try await session.step { try pages.next(bytes: LokiLineStream.pageBytes, in: $0) }
        }
        LokiAnswer.closeStreams(session.context, lines: lines, nanoseconds: session.nanoseconds, &writer)
        try await target.write(writer.takePiece())
    }
}
