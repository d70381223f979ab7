internal import Telemetry
internal import Transport
internal import Wire

/// `/api/v1/admin/tsdb/…`: what Prometheus lets its operators do to the store of metrics, where the configuration
/// allows it (`server.admin_api`), beside the permission of the route.
struct TSDBAdminAPI: Sendable {
    let dependencies: ServerDependencies
    let operations: OperationsAPI

    private func checkEnabled() throws(APIFailure) {
        // Prometheus' words.
        guard dependencies.options.adminAPIEnabled else { throw APIFailure(.unavailable, "admin APIs disabled") }
    }

    /// Deletes what any `match[]` selects between `start` and `end`; all of time where they are missing.
    func deleteSeries(_ request: ServerRequest) async throws -> ListenerResponse {
        try checkEnabled()
        let parameters = try await request.parameters()
        guard !parameters.all("match[]").isEmpty else {
            throw APIFailure(.badData, "no match[] parameter provided")
        }
        let start = try parameters.time("start") ?? TimeRange.all.startMilliseconds
        let end = try parameters.time("end") ?? TimeRange.all.endMilliseconds
        let matcherSets = try parameters.matcherSets(namesParameter: true)
        let store = dependencies.metricAdministration
        let range = TimeRange(startMilliseconds: start, endMilliseconds: end)
        try await operations.maintain(request, "deletion of series") {
            for matchers in matcherSets { _ = try store.delete(matching: matchers, range: range) }
        }
        return ListenerResponse(status: 204)
    }

    /// Takes what was deleted off the disk.
    func cleanTombstones(_ request: ServerRequest) async throws -> ListenerResponse {
        try checkEnabled()
        let store = dependencies.metricAdministration
        try await operations.maintain(request, "removal of deleted series") { try store.removeDeleted() }
        return ListenerResponse(status: 204)
    }

    /// Copies the metrics into a new folder below `snapshots` in the data folder, and says which. What is in memory is
    /// written to disk first, so `skip_head` has nothing to skip.
    func snapshot(_ request: ServerRequest) async throws -> ListenerResponse {
        try checkEnabled()
        let parameters = try await request.parameters()
        if let text = parameters["skip_head"], !["1", "t", "T", "true", "TRUE", "True"].contains(text),
            !["0", "f", "F", "false", "FALSE", "False"].contains(text)
        {
            throw APIFailure.invalid(
                "skip_head", "unable to parse boolean \"strconv.ParseBool: parsing \(QuotedText.quoted(text))\"")
        }
        guard let folder = dependencies.options.snapshotFolder else {
            throw APIFailure(.unavailable, "this server has no folder for snapshots")
        }
        let name = snapshotName
        let store = dependencies.metricAdministration
        try await operations.maintain(request, "snapshot") { try store.snapshot(to: "\(folder)/\(name)/metrics") }
        return .json(
            PrometheusAnswer.success { writer in
                writer.beginObject()
                writer.member("name", name)
                writer.endObject()
            })
    }

    /// The time, and what tells two of one second apart.
    private var snapshotName: String {
        let time = Timestamps.rfc3339(milliseconds: dependencies.wallClock.nowMilliseconds / 1_000 * 1_000)
        let stamp = time.prefix { $0 != "Z" && $0 != "." }.filter { $0 != "-" && $0 != ":" }
        let random = String(UInt64.random(in: 0...UInt64.max), radix: 16)
        return "\(stamp)Z-\(String(repeating: "0", count: 16 - random.count))\(random)"
    }
}
