internal import Telemetry
internal import Transport
internal import Wire

/// `/api/v1/status/…`: what is running here, and how much is in it.
struct PrometheusStatusAPI: Sendable {
    let dependencies: ServerDependencies
    let runner: QueryRunner
    let startMilliseconds: Int64

    /// The build. Grafana reads the version to know what it may ask.
    func buildInformation(_ request: ServerRequest) async throws -> ListenerResponse {
        let build = dependencies.build
        return .json(
            PrometheusAnswer.success { writer in
                writer.beginObject()
                writer.member("application", "vedette")
                writer.member("version", build.version)
                writer.member("revision", build.revision)
                writer.member("branch", "")
                writer.member("buildUser", "")
                writer.member("buildDate", "")
                writer.member("goVersion", build.compiler)
                writer.endObject()
            })
    }

    /// The process.
    func runtimeInformation(_ request: ServerRequest) async throws -> ListenerResponse {
        let usage = ProcessUsage.read()
        let damaged = dependencies.metricAdministration.quarantine + dependencies.logAdministration.quarantine
        return .json(
            PrometheusAnswer.success { writer in
                writer.beginObject()
                writer.member("startTime", Timestamps.rfc3339(milliseconds: startMilliseconds))
                writer.member("serverTime", Timestamps.rfc3339(milliseconds: dependencies.wallClock.nowMilliseconds))
                writer.member("corruptionCount", damaged.count)
                writer.member("goroutineCount", usage.threads)
                writer.member("residentMemoryBytes", usage.residentBytes)
                writer.member("memoryCapBytes", dependencies.options.memoryBytesMaximum)
                writer.member("storageRetention", dependencies.options.retentionText)
                writer.key("quarantine")
                writer.beginArray()
                for entry in damaged {
                    writer.beginObject()
                    writer.member("path", entry.path)
                    writer.member("reason", entry.reason)
                    writer.endObject()
                }
                writer.endArray()
                writer.endObject()
            })
    }

    /// The options the process was started with.
    func flags(_ request: ServerRequest) async throws -> ListenerResponse {
        .json(
            PrometheusAnswer.success { writer in
                writer.beginObject()
                for (name, value) in dependencies.options.flags.sorted(by: { $0.key < $1.key }) {
                    writer.member(name, value)
                }
                writer.endObject()
            })
    }

    /// Cardinality of the metric store.
    func cardinality(_ request: ServerRequest) async throws -> ListenerResponse {
        let limit = min(try await request.parameters().count("limit") ?? 10, 10_000)
        let store = dependencies.metricAdministration
        let description = QueryRunner.Description(
            kind: "cardinality", text: "", principal: request.principal.name)
        return try await runner.run(description) { _ in
            let report = store.cardinality(limit: limit)
            return .json(
                PrometheusAnswer.success { writer in
                    writer.beginObject()
                    writer.key("headStats")
                    writer.beginObject()
                    writer.member("numSeries", report.total)
                    writer.member("minTime", report.headRange?.startMilliseconds ?? 0)
                    writer.member("maxTime", report.headRange?.endMilliseconds ?? 0)
                    writer.endObject()
                    for (name, entries) in [
                        ("seriesCountByMetricName", report.byMetricName),
                        ("labelValueCountByLabelName", report.byLabelName),
                        ("seriesCountByLabelValuePair", report.byLabelPair),
                    ] {
                        writer.key(name)
                        writer.beginArray()
                        for entry in entries {
                            writer.beginObject()
                            writer.member("name", entry.name)
                            writer.member("value", entry.count)
                            writer.endObject()
                        }
                        writer.endArray()
                    }
                    writer.endObject()
                })
        }.value
    }

    /// The queries that run now.
    func queries(_ request: ServerRequest) async throws -> ListenerResponse {
        let now = dependencies.monotonicClock.nowNanoseconds
        return .json(
            PrometheusAnswer.success { writer in
                writer.beginArray()
                for entry in runner.active.entries {
                    let statistics = entry.context.statistics
                    writer.beginObject()
                    writer.member("id", String(entry.id))
                    writer.member("kind", entry.kind)
                    writer.member("query", entry.text)
                    writer.member("principal", entry.principal)
                    writer.key("seconds")
                    writer.number(Double(now - entry.startMonotonicNanoseconds) / 1e9)
                    writer.member("startedAt", Timestamps.rfc3339(milliseconds: entry.startMilliseconds))
                    writer.member("samplesDecoded", statistics.samplesDecoded)
                    writer.member("linesScanned", statistics.linesScanned)
                    writer.member("bytesRead", statistics.bytesRead)
                    writer.endObject()
                }
                writer.endArray()
            })
    }

    /// Ends a query.
    func kill(_ request: ServerRequest) async throws -> ListenerResponse {
        let id = request.capture("id")
        guard let number = UInt64(id), runner.active.kill(number) else {
            throw APIFailure(.notFound, "no query with the id \(id) runs; GET /api/v1/status/queries lists them")
        }
        dependencies.log(
            ServerLogEntry(.info, "query killed", fields: [("id", id), ("principal", request.principal.name)]))
        return .json(PrometheusAnswer.success { $0.null() })
    }
}
