internal import Foundation
internal import ScenarioSupport
internal import Testing

/// The real Prometheus scrapes `/metrics`: the target is up, nothing is misread, and its numbers are ours.
@Suite(.serialized) struct PrometheusScrapes {
    private static let isAbsent = ChildProcess.find("prometheus") == nil || ChildProcess.find("promtool") == nil

    @Test(.enabled(if: !isAbsent, "prometheus is not in PATH"))
    func itsNumbersAreOurs() async throws {
        var options = ServerStage.Options()
        options.command = "up"
        options.rules = ["trouble.yml": ServerStage.alwaysFiring("Trouble")]
        try await ServerStage.play("scrape", options) { stage in
            let prometheus = try PrometheusServer(scraping: stage.vedette.port, in: stage.scratch)
            do {
                try await story(stage, prometheus)
            } catch {
                await prometheus.stop()
                throw error
            }
            await prometheus.stop()
        }
    }

    private func story(_ stage: ServerStage, _ prometheus: PrometheusServer) async throws {
        // Something of everything: lines, a query that fails, an alert, a reload.
        for number in 1...7 {
            let now = Int64(Date().timeIntervalSince1970 * 1e9)
            let stream = "{\"stream\":{\"job\":\"p\"},\"values\":[[\"\(now)\",\"line \(number)\"]]}"
            let reply = try await stage.vedette.post("/loki/api/v1/push", body: "{\"streams\":[\(stream)]}")
            #expect(reply.status == 204)
        }
        _ = try await stage.vedette.get("/api/v1/query", ["query": "rate("])
        _ = try await stage.vedette.post("/-/reload")

        await expectSoon("the target is up", seconds: 20, seen: { "\(prometheus.output.suffix(1_000))" }) {
            try await prometheus.value("up{job=\"vedette\"}") == 1
        }
        let lines = { try await prometheus.value("vedette_ingest_items_accepted_total{signal=\"lines\"}") }
        await expectSoon("seven lines are counted", seen: { "\(try await lines())" }) { try await lines() == 7 }
        await expectSoon("the alert is counted") {
            try await prometheus.value("vedette_alerts{state=\"firing\"}") == 1
        }

        // The page, read by Prometheus' own parser and linter, and by counting its lines.
        let page = try await stage.vedette.get("/metrics").body
        let samples = page.split(separator: "\n").count { !$0.hasPrefix("#") }
        let scraped = try await prometheus.value("scrape_samples_scraped{job=\"vedette\"}")
        let kept = try await prometheus.value("scrape_samples_post_metric_relabeling{job=\"vedette\"}")
        #expect(scraped == kept && abs(scraped - Double(samples)) < 60, "\(scraped), \(kept), \(samples)")
        await expectSoon("nothing was there twice") {
            try await prometheus.value("prometheus_target_scrapes_sample_duplicate_timestamp_total") == 0
        }
        let file = try stage.scratch.write("page.prom", page)
        let check = try ChildProcess.run("sh", ["-c", "promtool check metrics < \(file)"])
        #expect(check.status == 0, "promtool: \(check.output)")

        // A counter that both know: Prometheus' number lies between two of ours.
        let name = "vedette_ingest_items_accepted_total{signal=\"samples\"}"
        let before = try number(name, on: try await stage.vedette.get("/metrics").body)
        let reachesIt = await eventually(seconds: 10) { (try? await prometheus.value(name)) ?? 0 >= before }
        let theirs = try await prometheus.value(name)
        let after = try number(name, on: try await stage.vedette.get("/metrics").body)
        #expect(reachesIt && before > 0 && theirs <= after, "\(before), \(theirs), \(after)")
    }

    private func number(_ series: String, on page: String) throws -> Double {
        let line = try #require(page.split(separator: "\n").first { $0.hasPrefix(series + " ") }, "\(series)")
        return Double(line.split(separator: " ").last ?? "") ?? .nan
    }
}
