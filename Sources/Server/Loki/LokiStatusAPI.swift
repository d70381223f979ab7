internal import Telemetry
internal import Transport
internal import Wire

/// What Loki's clients ask a server about itself.
struct LokiStatusAPI: Sendable {
    let dependencies: ServerDependencies

    /// The version of Loki whose API is spoken: clients decide by it what they may ask.
    private static let lokiVersion = "3.5.0"

    /// The build, in the shape of Loki, which is not that of Prometheus.
    func buildInformation(_ request: ServerRequest) async throws -> ListenerResponse {
        let build = dependencies.build
        return .json(
            JSONWriter.object { writer in
                writer.member("version", LokiStatusAPI.lokiVersion)
                writer.member("revision", build.revision)
                writer.member("branch", "vedette \(build.version)")
                writer.member("buildUser", "")
                writer.member("buildDate", "")
                writer.member("goVersion", build.compiler)
            })
    }

    /// What Grafana's Logs Drilldown may expect of the server.
    func drilldownLimits(_ request: ServerRequest) async throws -> ListenerResponse {
        .json(
            JSONWriter.object { writer in
                writer.key("limits")
                writer.beginObject()
                writer.member("discover_log_levels", true)
                writer.key("discover_service_name")
                writer.beginArray()
                for name in ["service", "app", "container", "unit", "job"] { writer.string(name) }
                writer.endArray()
                writer.key("log_level_fields")
                writer.beginArray()
                for name in ["level", "severity", "severity_text", "lvl", "loglevel"] { writer.string(name) }
                writer.endArray()
                writer.member("max_entries_limit_per_query", 0)
                writer.member("max_query_series", 0)
                writer.member("query_timeout", "\(dependencies.options.queryTimeoutMilliseconds / 1_000)s")
                writer.member("retention_period", dependencies.options.retentionText)
                writer.member("volume_enabled", true)
                writer.member("volume_max_series", 1_000)
                writer.endObject()
                writer.member("pattern_ingester_enabled", true)
                writer.member("version", LokiStatusAPI.lokiVersion)
                writer.member("maxDetectedFields", 1_000)
                writer.member("maxDetectedValues", 1_000)
                writer.member("maxLinesPerSample", 1_000)
                writer.member("maxQuerySeries", 0)
            })
    }
}
