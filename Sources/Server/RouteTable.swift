internal import Transport

/// Every route of the server, with the permission it needs: the one place to look.
struct RouteTable: Sendable {
    let query: PrometheusQueryAPI
    let series: PrometheusSeriesAPI
    let status: PrometheusStatusAPI
    let targets: PrometheusTargetsAPI
    let targetMetadata: TargetMetadataAPI
    let exemplars: ExemplarsAPI
    let federation: FederationAPI
    let alerts: AlertsAPI
    let silences: SilencesAPI
    let remedies: RemediesAPI
    let loki: LokiRoutes
    let remoteWrite: RemoteWriteAPI
    let remoteRead: RemoteReadAPI
    let tsdbAdmin: TSDBAdminAPI
    let ingest: AgentIngestAPI
    let commands: AgentCommandsAPI
    let enrolment: EnrolmentAPI
    let operations: OperationsAPI
    let metrics: MetricsPage

    /// The routes, in the order in which they are tried and listed.
    var routes: [Route] {
        prometheus + alerting + loki.routes + agents + operators
    }

    private var prometheus: [Route] {
        [
            Route("GET POST", "/api/v1/query", .read, isBrief: true, query.instant),
            Route("GET POST", "/api/v1/query_range", .read, isBrief: true, query.range),
            Route("GET POST", "/api/v1/query_exemplars", .read, exemplars.exemplars),
            Route("GET POST", "/api/v1/format_query", .read, query.format),
            Route("GET POST", "/api/v1/parse_query", .read, query.tree),
            Route("GET POST", "/api/v1/series", .read, isBrief: true, series.series),
            Route("GET POST", "/api/v1/labels", .read, isBrief: true, series.labels),
            Route("GET", "/api/v1/label/{name}/values", .read, isBrief: true, series.values),
            Route("GET", "/api/v1/metadata", .read, series.metadata),
            Route("GET", "/api/v1/targets", .read, targets.targets),
            Route("GET", "/api/v1/targets/metadata", .read, targetMetadata.metadata),
            Route("GET", "/api/v1/scrape_pools", .read, targets.pools),
            Route("GET", "/api/v1/alertmanagers", .read, targets.alertmanagers),
            Route("GET", "/federate", .read, wording: .text, federation.federate),
            Route(
                "POST", "/api/v1/write", .ingest, wording: .text, isBrief: true,
                briefBytesMaximum: Route.pushBytes, remoteWrite.write),
            Route("POST", "/api/v1/read", .read, wording: .text, remoteRead.read),
            Route("GET", "/api/v1/status/config", .read, status.configuration),
            Route("GET", "/api/v1/status/buildinfo", .read, status.buildInformation),
            Route("GET", "/api/v1/status/runtimeinfo", .read, status.runtimeInformation),
            Route("GET", "/api/v1/status/flags", .read, status.flags),
            Route("GET", "/api/v1/status/tsdb", .read, status.cardinality),
            Route("GET", "/api/v1/status/walreplay", .read, status.replay),
            Route("GET", "/api/v1/status/queries", .read, status.queries),
            Route("DELETE", "/api/v1/status/queries/{id}", .admin, status.kill),
        ]
    }

    private var alerting: [Route] {
        [
            Route("GET", "/api/v1/rules", .read, alerts.rules),
            Route("GET", "/api/v1/alerts", .read, alerts.alerts),
            Route("GET", "/api/v1/notifications", .read, alerts.notifications),
            Route("GET", "/api/v1/silences", .read, silences.list),
            Route("POST", "/api/v1/silences", .silence, silences.set),
            Route("DELETE", "/api/v1/silences/{id}", .silence, silences.expire),
            Route("GET", "/api/v1/remedies", .read, remedies.list),
            Route("GET", "/api/v1/remedies/history", .read, remedies.history),
            Route("POST", "/api/v1/remedies/{name}/approve", .act, remedies.approve),
            Route("POST", "/api/v1/remedies/{name}/pause", .act, remedies.pause),
        ]
    }

    private var agents: [Route] {
        [
            Route(
                "POST", "/agent/v1/batch", .ingest, wording: .text, isBrief: true,
                briefBytesMaximum: Route.pushBytes, ingest.batch),
            Route("GET", "/agent/v1/commands", .ingest, wording: .text, commands.commands),
            Route("POST", "/agent/v1/reports", .ingest, wording: .text, commands.reports),
            Route("POST", "/agent/v1/certificate", .ingest, enrolment.renew),
            Route("GET", "/enrolment/v1/authorities", nil, enrolment.trust),
            Route("POST", "/enrolment/v1/enroll", nil, enrolment.enroll),
            Route("GET", "/api/v1/enrolment/tokens", .admin, enrolment.tokens),
            Route("POST", "/api/v1/enrolment/tokens", .admin, enrolment.makeToken),
            Route("DELETE", "/api/v1/enrolment/tokens/{id}", .admin, enrolment.removeToken),
            Route("GET", "/api/v1/agents", .read, ingest.list),
            Route("POST", "/api/v1/agents/{agent}/revoke", .admin, enrolment.revoke),
            Route("DELETE", "/api/v1/agents/{agent}/binding", .admin, commands.unbind),
        ]
    }

    private var operators: [Route] {
        [
            Route("GET", "/metrics", .read, wording: .text, metrics.answer),
            Route("GET", "/-/healthy", nil, wording: .text, operations.healthy),
            Route("GET", "/-/ready", nil, wording: .text, operations.ready),
            Route("POST PUT", "/-/reload", .admin, wording: .text, operations.reload),
            Route("POST", "/api/v1/admin/seal", .admin, operations.seal),
            Route("POST", "/api/v1/admin/snapshot", .admin, operations.snapshot),
            Route("POST PUT", "/api/v1/admin/tsdb/delete_series", .admin, tsdbAdmin.deleteSeries),
            Route("POST PUT", "/api/v1/admin/tsdb/clean_tombstones", .admin, tsdbAdmin.cleanTombstones),
            Route("POST PUT", "/api/v1/admin/tsdb/snapshot", .admin, tsdbAdmin.snapshot),
        ]
    }

    /// The plain list of routes that `/` shows.
    static func index(of routes: [Route], version: String) -> String {
        let width = routes.map(\.pattern.count).max() ?? 0
        let lines = routes.map { route in
            let padding = String(repeating: " ", count: width - route.pattern.count)
            return "\(route.pattern)\(padding)  \(route.permission?.rawValue ?? "open")"
                + "  \(route.methods.joined(separator: " "))"
        }
        return "vedette \(version)\n\n" + lines.joined(separator: "\n")
    }
}
