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
        let configuration = dependencies.configuration()
        return .json(
            PrometheusAnswer.success { writer in
                writer.beginObject()
                writer.member("startTime", Timestamps.rfc3339(milliseconds: startMilliseconds))
                writer.member("CWD", ProcessUsage.workingFolder)
                writer.member("hostname", ProcessUsage.hostName)
                writer.member("serverTime", Timestamps.rfc3339(milliseconds: dependencies.wallClock.nowMilliseconds))
                writer.member("reloadConfigSuccess", configuration.isGood)
                writer.member("lastConfigTime", Timestamps.rfc3339(milliseconds: configuration.readMilliseconds))
                writer.member("corruptionCount", damaged.count)
                writer.member("goroutineCount", usage.threads)
                writer.member("GOMAXPROCS", ProcessUsage.processorCount)
                writer.member("GOMEMLIMIT", dependencies.options.memoryBytesMaximum)
                writer.member("GOGC", "")
                writer.member("GODEBUG", "")
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

    /// The configuration in force.
    func configuration(_ request: ServerRequest) async throws -> ListenerResponse {
        let yaml = dependencies.configuration().yaml
        return .json(
            PrometheusAnswer.success { writer in
                writer.beginObject()
                writer.member("yaml", yaml)
                writer.endObject()
            })
    }

    /// How far the log was read at the start: to its end, or this would not be answered.
    func replay(_ request: ServerRequest) async throws -> ListenerResponse {
        .json(
            PrometheusAnswer.success { writer in
                writer.beginObject()
                for key in ["min", "max", "current"] { writer.member(key, 0) }
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

    private static func limit(_ parameters: RequestParameters) throws(APIFailure) -> Int {
        guard let text = parameters["limit"] else { return 10 }
        guard let limit = Int(text), limit > 0 else { throw APIFailure(.badData, "limit must be a positive number") }
        guard limit <= 10_000 else { throw APIFailure(.badData, "limit must not exceed 10000") }
        return limit
    }

    /// Cardinality of the metric store.
    func cardinality(_ request: ServerRequest) async throws -> ListenerResponse {
        let limit = try PrometheusStatusAPI.limit(await request.parameters())
        let store = dependencies.metricAdministration
        let description = QueryRunner.Description(
            kind: "cardinality", text: "", of: request)
        return try await runner.run(description) { _ in
            // Figures of a part would look like figures of the whole.
            if case .starting(let reason) = store.queryHealth { throw QueryInterruption.starting(reason) }
            let report = store.cardinality(limit: limit)
            return .json(
                PrometheusAnswer.success { writer in
                    writer.beginObject()
                    writer.key("headStats")
                    writer.beginObject()
                    writer.member("numSeries", report.total)
                    writer.member("numLabelPairs", report.labelPairCount)
                    writer.member("chunkCount", report.chunkCount)
                    writer.member("minTime", report.headRange?.startMilliseconds ?? 0)
                    writer.member("maxTime", report.headRange?.endMilliseconds ?? 0)
                    writer.endObject()
                    for (name, entries) in [
                        ("seriesCountByMetricName", report.byMetricName),
                        ("labelValueCountByLabelName", report.byLabelName),
                        ("memoryInBytesByLabelName", report.bytesByLabelName),
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
