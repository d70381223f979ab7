internal import Telemetry
internal import Transport
internal import Wire

/// What operators and their tools ask: readiness, reload, seal, snapshot.
struct OperationsAPI: Sendable {
    let dependencies: ServerDependencies
    let memory: MemoryGuard
    /// One thread for work that may take minutes, so that it never takes a query's.
    let maintenance: QueryPool

    /// The process is alive and its event loops turn; tells nothing else.
    func healthy(_ request: ServerRequest) async throws -> ListenerResponse { .text(200, "vedette is alive") }

    /// Whether queries work, or with `for=ingest` whether data is taken.
    func ready(_ request: ServerRequest) async throws -> ListenerResponse {
        let purpose = try await request.parameters()["for"] ?? "query"
        let stores = [("metrics", dependencies.metricAdministration), ("logs", dependencies.logAdministration)]
        let refusal: String?
        switch purpose {
        case "query":
            refusal = OperationsAPI.refusal(stores.map { ($0.0, $0.1.queryHealth) }) ?? memory.queryRefusal
        case "ingest":
            refusal = OperationsAPI.refusal(stores.map { ($0.0, $0.1.ingestHealth) }) ?? memory.ingestRefusal
        default: throw APIFailure.invalid("for", "use query or ingest")
        }
        if let refusal { throw APIFailure(.unavailable, refusal, retryAfterSeconds: 5) }
        return .text(200, "vedette is ready")
    }

    private static func refusal(_ healths: [(name: String, health: StorageHealth)]) -> String? {
        let reasons = healths.compactMap { name, health -> String? in
            switch health {
            case .ready: nil
            case .starting(let reason): "\(name): starting, \(reason)"
            case .refusing(let reason): "\(name): \(reason)"
            case .failed(let reason): "\(name): \(reason)"
            }
        }
        return reasons.isEmpty ? nil : reasons.joined(separator: "\n")
    }

    /// Reads configuration and rules again; what cannot be read changes nothing.
    func reload(_ request: ServerRequest) async throws -> ListenerResponse {
        do {
            try await dependencies.reload()
        } catch {
            dependencies.log(ServerLogEntry(.error, "reload refused", fields: [("error", "\(error)")]))
            throw APIFailure(.badData, "\(error); nothing was changed, what ran before still runs")
        }
        dependencies.log(ServerLogEntry(.info, "reloaded", fields: [("principal", request.principal.name)]))
        return .text(200, "reloaded")
    }

    /// Brings both stores to their final form on disk, and answers when that is done.
    func seal(_ request: ServerRequest) async throws -> ListenerResponse {
        let stores = [dependencies.metricAdministration, dependencies.logAdministration]
        try await maintain(request, "seal") {
            for store in stores { try store.seal() }
        }
        return .json(PrometheusAnswer.success { $0.null() })
    }

    /// Copies both stores into the empty folder `to`, each into a folder of its own.
    func snapshot(_ request: ServerRequest) async throws -> ListenerResponse {
        let folder = try await request.parameters().required("to")
        guard folder.hasPrefix("/"), !folder.split(separator: "/").contains("..") else {
            throw APIFailure.invalid("to", "give an absolute path on the server without \"..\"")
        }
        let stores = [
            ("metrics", dependencies.metricAdministration), ("logs", dependencies.logAdministration),
        ]
        try await maintain(request, "snapshot") {
            for (name, store) in stores { try store.snapshot(to: "\(folder)/\(name)") }
        }
        return .json(
            PrometheusAnswer.success { writer in
                writer.beginObject()
                writer.member("path", folder)
                writer.endObject()
            })
    }

    /// Runs what may take minutes, one at a time, and notes who asked for it.
    func maintain(
        _ request: ServerRequest, _ what: String, _ work: @escaping @Sendable () throws -> Void
    ) async throws {
        let clock = dependencies.monotonicClock
        let start = clock.nowNanoseconds
        do {
            try await maintenance.run(work)
        } catch let full as QueryPool.Full {
            throw APIFailure(.unavailable, "another \(what) is at work: \(full)", retryAfterSeconds: 10)
        }
        let milliseconds = (clock.nowNanoseconds - start) / 1_000_000
        dependencies.log(
            ServerLogEntry(
                .info, "\(what) done",
                fields: [("principal", request.principal.name), ("milliseconds", String(milliseconds))]))
    }
}
