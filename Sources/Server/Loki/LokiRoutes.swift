internal import Transport

/// Every route that has to do with log lines, with the permission it needs: Loki's and our own.
struct LokiRoutes: Sendable {
    let query: LokiQueryAPI
    let series: LokiSeriesAPI
    let push: LokiPushAPI
    let tail: LokiTailAPI
    let volume: LokiVolumeAPI
    let fields: LokiFieldsAPI
    let patterns: LokiPatternsAPI
    let status: LokiStatusAPI
    let lines: LogLinesAPI
    let alerts: AlertsAPI
    let operations: OperationsAPI

    /// The routes, in the order in which they are tried and listed.
    var routes: [Route] {
        [
            read("/loki/api/v1/query_range", query.range),
            read("/loki/api/v1/query", query.instant),
            read("/loki/api/v1/format_query", query.format),
            read("/loki/api/v1/labels", series.labels),
            read("/loki/api/v1/label", series.labels),
            read("/loki/api/v1/label/{name}/values", series.values),
            read("/loki/api/v1/series", series.series),
            Route("GET", "/loki/api/v1/tail", .read, wording: .text, tail.tail),
            read("/loki/api/v1/index/stats", volume.stats),
            read("/loki/api/v1/index/volume", volume.volume),
            read("/loki/api/v1/index/volume_range", volume.volumeRange),
            read("/loki/api/v1/detected_labels", fields.labels),
            read("/loki/api/v1/detected_fields", fields.fields),
            read("/loki/api/v1/detected_field/{name}/values", fields.values),
            read("/loki/api/v1/patterns", patterns.patterns),
            Route("POST", "/loki/api/v1/push", .ingest, wording: .text, push.push),
            Route("GET", "/loki/api/v1/status/buildinfo", .read, wording: .text, status.buildInformation),
            Route("GET", "/loki/api/v1/drilldown-limits", .read, wording: .text, status.drilldownLimits),
            Route("GET", "/loki/api/v1/rules", .read, wording: .text, alerts.rules),
            Route("GET", "/prometheus/api/v1/rules", .read, alerts.rules),
            Route("GET", "/prometheus/api/v1/alerts", .read, alerts.alerts),
            Route("GET", "/ready", nil, wording: .text, operations.ready),
            read("/api/v1/logs/lines", lines.lines),
            read("/api/v1/logs/context", lines.context),
            read("/api/v1/logs/patterns", patterns.details),
        ]
    }

    private func read(
        _ pattern: String, _ handle: @escaping @Sendable (ServerRequest) async throws -> ListenerResponse
    ) -> Route {
        Route("GET POST", pattern, .read, wording: .text, handle)
    }
}
