internal import Telemetry
internal import Transport
internal import Wire

/// `POST /api/v1/write`: samples from senders that speak Prometheus' remote write 1.0 (Prometheus, vmagent, Grafana
/// Alloy, Telegraf).
///
/// 204 means fsynced. What is wrong with single samples is told in a 400, as Prometheus does, so that the sender logs
/// it and does not send again; everything else of the request is stored then.
struct RemoteWriteAPI: Sendable {
    let dependencies: ServerDependencies
    let memory: MemoryGuard
    let metrics: ServerMetrics
    let series: SeriesMemory

    /// vmagent's largest block is 32 MiB.
    static let bodyBytesMaximum = 64 << 20

    /// Stores one request.
    func write(_ request: ServerRequest) async throws -> ListenerResponse {
        if let reason = memory.ingestRefusal { throw APIFailure(.overloaded, reason, retryAfterSeconds: 5) }
        try RemoteWriteAPI.check(request.listener.fields["content-type"])
        let body = try await request.snappyBody(upTo: RemoteWriteAPI.bodyBytesMaximum)
        let start = dependencies.monotonicClock.nowNanoseconds
        // The body itself is let go of before the wait for the disk: as many wait as there are connections.
        let bodyBytes = body.count
        do {
            let written = try RemoteWriteReader.read(body, memory: series)
            var receipt = AppendReceipt(accepted: 0)
            if !written.batch.groups.isEmpty || !written.batch.metadata.isEmpty {
                receipt = try await dependencies.sampleAppender.append(written.batch)
                if let ids = receipt.seriesIDs.first { series.learn(ids, at: written.places) }
            }
            // A sample sent again, as after a lost answer, has done its duty the first time.
            let rejections = written.rejections + receipt.rejections
            let rejected = rejections.reduce(0) { $0 + $1.count }
            metrics.ingest.record(
                .samples, verdict: rejections.isEmpty ? "stored" : "partly", accepted: receipt.accepted,
                rejected: rejected, duplicates: 0, bytes: bodyBytes,
                nanoseconds: dependencies.monotonicClock.nowNanoseconds - start)
            guard !rejections.isEmpty else { return ListenerResponse(status: 204) }
            return .text(400, RemoteWriteAPI.words(rejections, samples: rejected, accepted: receipt.accepted))
        } catch {
            let failure = (error as? RemoteWriteError).map { APIFailure(.badData, $0.description) }
            metrics.ingest.record(
                .samples, verdict: failure == nil ? "later" : "refused", bytes: bodyBytes,
                nanoseconds: dependencies.monotonicClock.nowNanoseconds - start)
            throw failure ?? APIFailure(describing: error)
        }
    }

    /// Version 2 of the protocol names itself in the content type; senders fall back to 1.0 on 415.
    private static func check(_ contentType: String?) throws {
        guard let contentType, let type = MediaType(parsing: contentType) else { return }
        let proto = type["proto"] ?? "prometheus.WriteRequest"
        guard type.name == "application/x-protobuf", proto == "prometheus.WriteRequest" else {
            throw APIFailure(
                .unsupportedMedia,
                "Content-Type \(contentType) is not taken here; send remote write 1.0 (application/x-protobuf)")
        }
    }

    private static func words(_ rejections: [SampleRejection], samples: Int, accepted: Int) -> String {
        let named = rejections.prefix(10).map { "\($0.count) of \($0.labels): \($0.explanation)" }
        let more = rejections.count > 10 ? ["and \(rejections.count - 10) more"] : []
        return "\(samples) samples were not stored, \(accepted) were. " + (named + more).joined(separator: "; ")
    }
}
