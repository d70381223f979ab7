internal import Foundation
internal import ScenarioSupport
internal import Testing

/// Clients written for Prometheus talk to the real binary: a Python library, promtool, and the calls that Grafana's
/// data source makes.
@Suite(.serialized) struct PrometheusClients {
    private static let hasPromtool = ChildProcess.find("promtool") != nil
    private static let python = ProcessInfo.processInfo.environment["VEDETTE_TOOLS"].map { "\($0)/python/bin/python" }
    private static let hasLibrary =
        python.map {
            (try? ChildProcess.run($0, ["-c", "import prometheus_api_client"]).status) == 0
        } ?? false

    /// A server that scrapes itself, so that there are targets, metadata and samples.
    private func play(_ name: String, _ story: (VedetteProcess) async throws -> Void) async throws {
        let scratch = try ScratchFolder(name)
        defer { scratch.remove() }
        let port = try FreePort.find()
        let configuration = try scratch.write(
            "vedette.yml",
            """
            scrape_configs:
              - job_name: self
                scrape_interval: 1s
                static_configs: [{targets: ["127.0.0.1:\(port)"], labels: {env: test}}]
            """)
        try scratch.write(
            "rules/up.yml",
            """
            groups:
              - name: up
                interval: 1s
                rules:
                  - {record: "job:up:sum", expr: sum by(job)(up)}
                  - {alert: Always, expr: vector(1), labels: {severity: page}}
            """)
        let vedette = try await VedetteProcess(
            "server", dataFolder: scratch.file("data"),
            arguments: ["--config", configuration, "--rules", scratch.file("rules")], listen: "127.0.0.1:\(port)")
        do {
            await expectSoon("it has scraped itself twice", seconds: 20) {
                try await vedette.instant("count_over_time(up[1m])").first?.value ?? 0 >= 2
            }
            try await story(vedette)
        } catch {
            Issue.record("\(error)\n\(vedette.process.output.suffix(3_000))")
        }
        await vedette.stop()
    }

    // MARK: Python

    @Test(.enabled(if: hasLibrary, "the Python client is not installed"))
    func aPythonLibraryFindsAllItAsksFor() async throws {
        try await play("python") { vedette in
            let program = PrometheusClients.program
            let address = "http://127.0.0.1:\(vedette.port)"
            let run = try ChildProcess.run(PrometheusClients.python ?? "", ["-c", program, address])
            #expect(run.status == 0, "\(run.output)")
            #expect(run.output.hasSuffix("all is well\n"), "\(run.output)")
        }
    }

    private static let program = """
        import sys
        from datetime import datetime, timedelta
        from prometheus_api_client import PrometheusConnect, PrometheusApiClientException

        for method in ("GET", "POST"):
            client = PrometheusConnect(url=sys.argv[1], method=method)
            now = datetime.now()
            assert client.check_prometheus_connection()
            if method == "GET":
                assert "up" in client.all_metrics()
                assert {"job", "instance", "env"} <= set(client.get_label_names())
                assert client.get_label_values("job") == ["self"]
                assert client.get_scrape_pools() == ["self"]
                target = client.get_targets(state="active")["activeTargets"][0]
                assert target["labels"]["env"] == "test" and target["health"] == "up", target
                series = client.get_series(now - timedelta(hours=1), now, params={"match[]": "up"})
                assert series == [{"__name__": "up", "env": "test", "instance": target["labels"]["instance"],
                                   "job": "self"}], series
                metadata = client.get_metric_metadata("process_threads")
                assert metadata and metadata[0]["type"] == "gauge" and metadata[0]["help"], metadata
                one = client.get_target_metadata({"job": "self"}, "process_threads")
                assert len(one) == 1 and one[0]["target"]["job"] == "self", one
            current = client.get_current_metric_value("up", {"job": "self"})
            assert current[0]["metric"]["job"] == "self" and current[0]["value"][1] == "1", current
            # The library cuts the end to a whole second, which may lie before the newest sample.
            soon = now + timedelta(seconds=2)
            data = client.get_metric_range_data("up", start_time=now - timedelta(minutes=1), end_time=soon)
            assert data[0]["metric"]["__name__"] == "up" and len(data[0]["values"]) >= 2, data
            assert client.custom_query("sum(up)")[0]["value"][1] == "1"
            ranged = client.custom_query_range("up", now - timedelta(seconds=30), now, "1s")
            assert len(ranged) == 1 and len(ranged[0]["values"]) >= 1
            try:
                client.custom_query("up{")
            except PrometheusApiClientException as error:
                assert "400" in str(error) and "parse error" in str(error), error
            else:
                raise AssertionError("a broken expression has an answer")
        print("all is well")
        """

    // MARK: promtool

    @Test(.enabled(if: hasPromtool, "promtool is not in PATH"))
    func promtoolQueries() async throws {
        try await play("promtool") { vedette in
            let server = "http://127.0.0.1:\(vedette.port)"
            func query(_ arguments: String...) throws -> (status: Int32, output: String) {
                try ChildProcess.run("promtool", ["query"] + arguments)
            }
            let instance = "127.0.0.1:\(vedette.port)"
            let instant = try query("instant", server, "up")
            #expect(instant.status == 0)
            #expect(
                instant.output.hasPrefix("up{env=\"test\", instance=\"\(instance)\", job=\"self\"} => 1 @["),
                "\(instant.output)")
            let scalar = try query("instant", server, "1 + 1")
            #expect(scalar.output.hasPrefix("scalar: 2 @["), "\(scalar.output)")
            let range = try query("range", "--step", "1s", server, "sum(up)")
            #expect(range.status == 0 && range.output.hasPrefix("{} =>\n1 @["), "\(range.output)")
            let series = try query("series", "--match", "up", server)
            #expect(
                series.output == "{__name__=\"up\", env=\"test\", instance=\"\(instance)\", job=\"self\"}\n",
                "\(series.output)")
            let labels = try query("labels", server, "job")
            #expect(labels.output == "self\n", "\(labels.output)")
            let json = try query("instant", "-o", "json", server, "sum(up)")
            #expect(try JSONTree(json.output)[0]["value"][1].string == "1", "\(json.output)")
            let broken = try query("instant", server, "up{")
            #expect(broken.status == 1)
            let words = "bad_data: invalid parameter \"query\": 1:4: parse error"
            #expect(broken.output.contains(words), "\(broken.output)")
        }
    }

    // MARK: Prometheus

    @Test(.enabled(if: ChildProcess.find("prometheus") != nil, "prometheus is not in PATH"))
    func prometheusReadsRemotely() async throws {
        try await play("remote-read") { vedette in
            let scratch = try ScratchFolder("reader")
            defer { scratch.remove() }
            let prometheus = try PrometheusServer(readingFrom: vedette.port, in: scratch)
            await expectSoon("Prometheus finds what is stored here", seconds: 20, seen: { prometheus.output }) {
                try await prometheus.value("sum(up{env=\"test\"})") == 1
            }
            // Evaluated there, over many samples from here.
            let counted = try await prometheus.value("count_over_time(up{job=~\"se.*\",env!=\"\"}[1m])")
            #expect(counted >= 2, "\(counted)")
            let names = try await prometheus.value("count({__name__=~\"process_.+\"})")
            #expect(names >= 5, "\(names)")
            #expect(try await prometheus.value("sum(up{job=\"nobody\"}) or vector(7)") == 7)
            await prometheus.stop()
        }
    }

    // MARK: Grafana

    /// A call of Grafana's data source, and what must be in the answer.
    private struct Call {
        var method: String
        var path: String
        var parameters: [(String, String)] = []
        var isRight: (JSONTree) -> Bool
    }

    @Test func grafanasCallsAreAnswered() async throws {
        try await play("grafana") { vedette in
            let client = PrometheusClient(port: vedette.port)
            let now = Int(Date().timeIntervalSince1970)
            for call in PrometheusClients.calls(start: now - 300, end: now) {
                let path = "/api/v1/\(call.path)"
                let (status, body) =
                    try await call.method == "POST"
                    ? client.post(path, call.parameters) : client.get(path, call.parameters)
                #expect(status == 200 && body["status"].string == "success", "\(call.method) \(path): \(body)")
                #expect(call.isRight(body["data"]), "\(call.method) \(path) \(call.parameters): \(body)")
            }
        }
    }

    private static func calls(start: Int, end: Int) -> [Call] {
        let range = [("start", "\(start)"), ("end", "\(end)")]
        let dashboard = [
            // A panel, its instant table, the explorer's builder, variables, annotations and the alert list.
            Call(
                method: "POST", path: "query_range",
                parameters: range + [("query", "rate(process_cpu_seconds_total[1m0s])"), ("step", "15")]
            ) { $0["resultType"].string == "matrix" },
            Call(method: "POST", path: "query", parameters: [("query", "up"), ("time", "\(end)")]) {
                $0["result"][0]["value"][1].string == "1"
            },
            Call(method: "GET", path: "query", parameters: [("query", "1+1"), ("time", "\(end).5")]) {
                $0["resultType"].string == "scalar"
            },
            Call(method: "POST", path: "labels", parameters: range + [("match[]", "up")]) {
                $0.array.map(\.string) == ["__name__", "env", "instance", "job"]
            },
            Call(method: "GET", path: "label/__name__/values", parameters: range + [("limit", "40000")]) {
                $0.array.contains { $0.string == "up" }
            },
            Call(method: "GET", path: "label/U__env/values", parameters: range + [("match[]", "{job=\"self\"}")]) {
                $0.array.map(\.string) == ["test"]
            },
            Call(method: "POST", path: "series", parameters: range + [("match[]", "up"), ("limit", "1")]) {
                $0[0]["job"].string == "self"
            },
            Call(method: "GET", path: "metadata", parameters: [("limit", "50000")]) {
                $0["process_threads"][0]["type"].string == "gauge"
            },
            // "Save & test".
            Call(method: "POST", path: "query", parameters: [("query", "1+1"), ("time", "\(end)")]) {
                $0["resultType"].string == "scalar" && $0["result"][1].string == "2"
            },
            Call(method: "GET", path: "query_exemplars", parameters: range + [("query", "test")]) { $0.array.isEmpty },
            Call(method: "GET", path: "rules") { $0["groups"][0]["rules"].array.count == 2 },
            Call(method: "GET", path: "rules", parameters: [("type", "alert"), ("limit_alerts", "16")]) {
                $0["groups"][0]["rules"][0]["alerts"][0]["labels"]["severity"].string == "page"
            },
            Call(method: "GET", path: "alerts") { $0["alerts"][0]["labels"]["alertname"].string == "Always" },
        ]
        let tools = [
            Call(method: "GET", path: "status/buildinfo") { !$0["version"].string.isEmpty && !$0["features"].exists },
            Call(method: "GET", path: "status/flags") { $0["listen"].exists },
            Call(method: "GET", path: "status/runtimeinfo") { $0["reloadConfigSuccess"].exists },
            Call(method: "GET", path: "status/tsdb") { $0["headStats"]["numSeries"].number > 0 },
            Call(method: "GET", path: "status/config") { $0["yaml"].string.contains("job_name: \"self\"") },
            Call(method: "POST", path: "format_query", parameters: [("query", "sum(up)by(job)")]) {
                $0.string == "sum by (job) (up)"
            },
            Call(method: "POST", path: "parse_query", parameters: [("query", "up")]) {
                $0["type"].string == "vectorSelector"
            },
            Call(method: "GET", path: "status/walreplay") { $0["current"].exists },
            Call(method: "GET", path: "scrape_pools") { $0["scrapePools"].array.map(\.string) == ["self"] },
            Call(method: "GET", path: "alertmanagers") { $0["activeAlertmanagers"].exists },
            Call(method: "GET", path: "targets/metadata", parameters: [("metric", "process_threads")]) {
                $0[0]["type"].string == "gauge" && $0[0]["target"]["job"].string == "self"
            },
            Call(method: "GET", path: "targets", parameters: [("state", "active")]) {
                $0["activeTargets"][0]["health"].string == "up"
            },
        ]
        return dashboard + tools
    }
}
