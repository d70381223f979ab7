internal import Telemetry
internal import Transport
internal import Wire

/// `POST /loki/api/v1/push`: lines from senders that speak Loki's JSON or its protobuf.
struct LokiPushAPI: Sendable {
    let dependencies: ServerDependencies
    let memory: MemoryGuard
    let metrics: ServerMetrics

    /// Loki's own limit for one request.
    static let bodyBytesMaximum = 32 << 20

    /// Stores the lines; 204 means fsynced. Lines that cannot be stored are named in a 400, the others are stored then.
    func push(_ request: ServerRequest) async throws -> ListenerResponse {
        if let reason = memory.ingestRefusal { throw APIFailure(.overloaded, reason, retryAfterSeconds: 5) }
        let isProtobuf = try LokiPushAPI.isProtobuf(request.listener.fields["content-type"])
        let body =
            isProtobuf
            ? try await request.snappyBody(upTo: LokiPushAPI.bodyBytesMaximum)
            : try await request.body(upTo: LokiPushAPI.bodyBytesMaximum)
        let start = dependencies.monotonicClock.nowNanoseconds
        do {
            var push = isProtobuf ? try LokiPushProtobuf.parse(body) : try LokiPushJSON.parse(body)
            push.batch.client = LokiPushAPI.client(request)
            var rejections = push.rejections
            var receipt = LogReceipt(accepted: 0)
            if push.batch.lineCount > 0 { receipt = try await dependencies.logAppender.append(push.batch) }
            rejections += receipt.rejections
            let rejected = rejections.reduce(0) { $0 + $1.lines }
            metrics.ingest.record(
                .lines, verdict: rejections.isEmpty ? "stored" : "partly", accepted: receipt.accepted,
                rejected: rejected, duplicates: receipt.duplicates, bytes: body.count,
                nanoseconds: dependencies.monotonicClock.nowNanoseconds - start)
            guard !rejections.isEmpty else { return ListenerResponse(status: 204) }
            return .text(400, LokiPushAPI.words(rejections, lines: rejected, accepted: receipt.accepted))
        } catch {
            let failure = (error as? LokiPushError).map { APIFailure(.badData, $0.description) }
            metrics.ingest.record(
                .lines, verdict: failure == nil ? "later" : "refused", bytes: body.count,
                nanoseconds: dependencies.monotonicClock.nowNanoseconds - start)
            throw failure ?? APIFailure(describing: error)
        }
    }

    /// Who pushes, for limits that keep senders fair: the token's name, and the host, which many may share it from.
    private static func client(_ request: ServerRequest) -> String {
        let address = request.listener.remoteAddress
        let host = address.lastIndex(of: ":").map { String(address[..<$0]) } ?? address
        return "\(request.principal.name) at \(host)"
    }

    /// Whether the body is protobuf or else JSON; another type is refused.
    private static func isProtobuf(_ contentType: String?) throws -> Bool {
        switch contentType.flatMap({ MediaType(parsing: $0)?.name }) {
        case "application/x-protobuf": return true
        case nil, "application/json", "text/plain": return false
        case let type?:
            throw APIFailure(
                .unsupportedMedia,
                "Content-Type \(type) is not taken here; send Loki's JSON (application/json) or protobuf "
                    + "(application/x-protobuf)")
        }
    }

    private static func words(_ rejections: [LogRejection], lines: Int, accepted: Int) -> String {
        let named = rejections.prefix(10).map { "\($0.lines) of \($0.labels): \($0.reason)" }
        let more = rejections.count > 10 ? ["and \(rejections.count - 10) more streams"] : []
        return "\(lines) lines were not stored, \(accepted) were. " + (named + more).joined(separator: "; ")
    }
}
