internal import Foundation
internal import ScenarioSupport
internal import Testing

/// The calls that Grafana's Loki data source makes (health check, query builder, Explore, dashboards, Logs Drilldown),
/// replayed against the real binary: each answer has the shape that Grafana reads.
@Suite(.serialized) struct GrafanaLogsReplay {
    /// A call, and what must be in its answer.
    private struct Call {
        var method = "GET"
        var path: String
        var parameters: [(String, String)] = []
        var isRight: (JSONTree) -> Bool
    }

    @Test func lokisCallsAreAnswered() async throws {
        let scratch = try ScratchFolder("gloki")
        defer { scratch.remove() }
        let vedette = try await VedetteProcess("server", dataFolder: scratch.file("data"))
        let now = Int(Date().timeIntervalSince1970)
        try await fill(vedette, now: now)
        let client = PrometheusClient(port: vedette.port)
        let (start, end) = ("\(now - 600)000000000", "\(now + 60)000000000")
        for call in GrafanaLogsReplay.calls(start: start, end: end) {
            let path = "/loki/api/v1/\(call.path)"
            let (status, body) =
                try await call.method == "POST"
                ? client.post(path, call.parameters) : client.get(path, call.parameters)
            #expect(status == 200 && call.isRight(body), "\(call.method) \(path) \(call.parameters): \(status) \(body)")
        }
        let rules = try await client.get("/prometheus/api/v1/rules", [])
        #expect(rules.status == 200 && rules.json["data"]["groups"].exists)
        await vedette.stop()
    }

    private func fill(_ vedette: VedetteProcess, now: Int) async throws {
        let lines = (0..<40).map { index in
            let level = index % 8 == 0 ? "error" : "info"
            let text =
                "level=\(level) method=GET path=/cart/\(index) duration=\(index)ms status=\(200 + index % 2 * 300)"
            return "[\"\(now - 400 + index * 5)000000000\",\"\(text)\",{\"trace_id\":\"t\(index % 4)\"}]"
        }
        let other =
            "{\"stream\":{\"app\":\"db\",\"env\":\"prod\"},\"values\":[[\"\(now - 100)000000000\",\"started\"]]}"
        let body =
            "{\"streams\":[{\"stream\":{\"app\":\"shop\",\"env\":\"prod\"},\"values\":[\(lines.joined(separator: ","))]},"
            + "\(other)]}"
        let reply = try await vedette.post("/loki/api/v1/push", body: body)
        #expect(reply.status == 204, "\(reply.body)")
    }

    private static func calls(start: String, end: String) -> [Call] {
        let range = [("start", start), ("end", end)]
        return builder(range) + queries(range) + drilldown(range)
    }

    /// Health check, query builder, label browser.
    private static func builder(_ range: [(String, String)]) -> [Call] {
        [
            // "Save & test".
            Call(path: "query", parameters: [("query", "vector(1)+vector(1)"), ("limit", "100")]) {
                $0["data"]["resultType"].string == "vector" && $0["data"]["result"][0]["value"][1].string == "2"
            },
            Call(path: "status/buildinfo") { !$0["version"].string.isEmpty },
            Call(path: "labels", parameters: range) { $0["data"].array.map(\.string) == ["app", "env"] },
            Call(method: "POST", path: "labels", parameters: range + [("query", "{app=\"db\"}")]) {
                $0["data"].array.map(\.string) == ["app", "env"]
            },
            Call(path: "label/app/values", parameters: range) { $0["data"].array.map(\.string) == ["db", "shop"] },
            Call(path: "label/app/values", parameters: range + [("query", "{env=\"prod\", app!=\"db\"}")]) {
                $0["data"].array.map(\.string) == ["shop"]
            },
            Call(path: "series", parameters: range + [("match[]", "{env=\"prod\"}")]) {
                $0["status"].string == "success" && $0["data"].array.count == 2 && $0["data"][0]["app"].exists
            },
            // The hint of how much a query reads.
            Call(path: "index/stats", parameters: range + [("query", "{app=\"shop\"}")]) {
                $0["streams"].number == 1 && $0["entries"].number == 40 && $0["bytes"].number > 0
                    && $0["chunks"].exists
            },
            Call(path: "format_query", parameters: [("query", "sum(rate({app=\"shop\"}[1m]))by(app)")]) {
                $0["data"].string.hasPrefix("sum by")
            },
        ]
    }

    /// Explore and dashboards.
    private static func queries(_ range: [(String, String)]) -> [Call] {
        let hit = "{app=\"shop\"} |= \"error\" | logfmt | duration > 5ms"
        let volume = "sum by (level) (count_over_time({app=\"shop\"} | logfmt | drop __error__[1m]))"
        return [
            Call(
                path: "query_range",
                parameters: range + [("query", hit), ("limit", "1000"), ("direction", "backward"), ("step", "2000ms")]
            ) { answer in
                let data = answer["data"]
                let values = data["result"].array.flatMap { $0["values"].array }
                return data["resultType"].string == "streams" && values.count == 4
                    && values.allSatisfy { $0[1].string.contains("level=error") }
                    && data["stats"]["summary"]["totalLinesProcessed"].exists
            },
            Call(
                method: "POST", path: "query_range",
                parameters: range + [("query", "{env=\"prod\"}"), ("limit", "5"), ("direction", "forward")]
            ) { $0["data"]["result"].array.reduce(0) { $0 + $1["values"].array.count } == 5 },
            // The histogram above the lines.
            Call(path: "query_range", parameters: range + [("query", volume), ("step", "60000ms")]) { answer in
                let series = answer["data"]["result"].array
                return answer["data"]["resultType"].string == "matrix"
                    && Set(series.map { $0["metric"]["level"].string }) == ["error", "info"]
                    && series.allSatisfy { $0["values"][0][1].string != "" }
            },
            Call(path: "query", parameters: [("query", "topk(1, sum by (app) (count_over_time({env=\"prod\"}[1h])))")])
            {
                $0["data"]["result"][0]["metric"]["app"].string == "shop"
                    && $0["data"]["result"][0]["value"][1].string == "40"
            },
            Call(
                path: "query",
                parameters: [
                    (
                        "query",
                        "quantile_over_time(0.9, {app=\"shop\"} | logfmt | unwrap duration(duration) [1h]) by (app)"
                    )
                ]
            ) {
                $0["data"]["result"].array.count == 1
            },
        ]
    }

    /// Logs Drilldown.
    private static func drilldown(_ range: [(String, String)]) -> [Call] {
        [
            Call(path: "drilldown-limits") { $0["limits"].exists },
            Call(path: "index/volume", parameters: range + [("query", "{env=~\".+\"}"), ("targetLabels", "app")]) {
                $0["data"]["result"][0]["metric"]["app"].string == "shop"
                    && $0["data"]["result"][0]["value"][1].number > 0
            },
            Call(
                path: "index/volume_range",
                parameters: range + [("query", "{app=\"shop\"}"), ("step", "60"), ("limit", "10")]
            ) { $0["data"]["resultType"].string == "matrix" && $0["data"]["result"][0]["values"].array.count > 2 },
            Call(path: "detected_labels", parameters: range + [("query", "{env=\"prod\"}")]) {
                Set($0["detectedLabels"].array.map { $0["label"].string }) == ["app", "env"]
                    && $0["detectedLabels"][0]["cardinality"].number == 2
            },
            Call(
                path: "detected_fields", parameters: range + [("query", "{app=\"shop\"}"), ("line_limit", "1000")]
            ) { answer in
                let fields = answer["fields"].array
                let status = fields.first { $0["label"].string == "status" }
                return Set(fields.map { $0["label"].string }).isSuperset(of: ["method", "path", "duration", "trace_id"])
                    && status?["type"].string == "int" && status?["cardinality"].number == 2
                    && status?["parsers"][0].string == "logfmt"
            },
            Call(path: "detected_field/status/values", parameters: range + [("query", "{app=\"shop\"}")]) {
                Set($0["values"].array.map(\.string)) == ["200", "500"]
            },
            Call(path: "patterns", parameters: range + [("query", "{app=\"shop\"}"), ("step", "60s")]) { answer in
                let patterns = answer["data"].array
                return answer["status"].string == "success" && patterns[0]["pattern"].string.contains("<_>")
                    && patterns[0]["samples"][0].array.count == 2
            },
        ]
    }
}
