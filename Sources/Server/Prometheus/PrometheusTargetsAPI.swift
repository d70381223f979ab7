internal import Telemetry
internal import Transport
internal import Wire

/// `GET /api/v1/targets`: what this server scrapes, in Prometheus' shape.
struct PrometheusTargetsAPI: Sendable {
    let dependencies: ServerDependencies

    /// The targets; `state` is active, dropped or any, `scrapePool` names one job.
    func targets(_ request: ServerRequest) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        let state = parameters["state"]?.lowercased() ?? "any"
        guard ["active", "dropped", "any"].contains(state) else {
            throw APIFailure.invalid("state", "\(QuotedText.quoted(state)) is none of active, dropped, any")
        }
        let pool = parameters["scrapePool"]
        let isWanted: (ScrapedTarget) -> Bool = { pool == nil || $0.pool == pool }
        let active = state == "dropped" ? [] : (dependencies.targets?.activeTargets ?? []).filter(isWanted)
        let dropped = (dependencies.targets?.droppedTargets ?? []).filter(isWanted)
        return .compressedJSON(
            PrometheusAnswer.success { writer in
                writer.beginObject()
                writer.key("activeTargets")
                writer.beginArray()
                for target in active { PrometheusTargetsAPI.write(target, to: &writer) }
                writer.endArray()
                writer.key("droppedTargets")
                writer.beginArray()
                for target in state == "active" ? [] : dropped {
                    writer.beginObject()
                    PrometheusTargetsAPI.write("discoveredLabels", target.discovered, to: &writer)
                    writer.member("scrapePool", target.pool)
                    writer.endObject()
                }
                writer.endArray()
                writer.key("droppedTargetCounts")
                writer.beginObject()
                let counts = Dictionary(grouping: dropped, by: \.pool).mapValues(\.count)
                for (name, count) in counts.sorted(by: { $0.key < $1.key }) { writer.member(name, count) }
                writer.endObject()
                writer.endObject()
            }, acceptsGzip: request.acceptsGzip)
    }

    /// The names of the jobs that are scraped.
    func pools(_ request: ServerRequest) async throws -> ListenerResponse {
        let targets = (dependencies.targets?.activeTargets ?? []) + (dependencies.targets?.droppedTargets ?? [])
        let names = Set(targets.map(\.pool)).sorted()
        return .json(
            PrometheusAnswer.success { writer in
                writer.beginObject()
                writer.key("scrapePools")
                writer.beginArray()
                for name in names { writer.string(name) }
                writer.endArray()
                writer.endObject()
            })
    }

    /// No Alertmanager is told: this server tells receivers itself.
    func alertmanagers(_ request: ServerRequest) async throws -> ListenerResponse {
        .json(
            PrometheusAnswer.success { writer in
                writer.beginObject()
                for key in ["activeAlertmanagers", "droppedAlertmanagers"] {
                    writer.key(key)
                    writer.beginArray()
                    writer.endArray()
                }
                writer.endObject()
            })
    }

    private static func write(_ target: ScrapedTarget, to writer: inout JSONWriter) {
        writer.beginObject()
        write("discoveredLabels", target.discovered, to: &writer)
        write("labels", target.labels, to: &writer)
        writer.member("scrapePool", target.pool)
        writer.member("scrapeUrl", target.url)
        writer.member("globalUrl", target.url)
        writer.member("lastError", target.lastError)
        // Go's zero time stands for never.
        let last = target.lastScrapeMilliseconds.map { Timestamps.rfc3339(milliseconds: $0) }
        writer.member("lastScrape", last ?? "0001-01-01T00:00:00Z")
        writer.key("lastScrapeDuration")
        writer.number(target.lastDurationSeconds)
        writer.member("health", target.health.rawValue)
        writer.member("scrapeInterval", Durations.prometheus(milliseconds: target.intervalMilliseconds))
        writer.member("scrapeTimeout", Durations.prometheus(milliseconds: target.timeoutMilliseconds))
        writer.endObject()
    }

    private static func write(_ key: String, _ labels: Labels, to writer: inout JSONWriter) {
        writer.key(key)
        writer.beginObject()
        for pair in labels.pairs { writer.member(pair.name, pair.value) }
        writer.endObject()
    }
}
