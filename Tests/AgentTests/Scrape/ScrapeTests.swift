import Synchronization
import Telemetry
import TestSupport
import Testing
import Wire

@testable import Agent

/// One target, scrape by scrape: what becomes samples, what ends, and what the scraper itself says.
@Suite struct ScrapeTests {
    @Test func samplesCarryTheTargetsLabelsAndVanishedSeriesEnd() async throws {
        let stage = ScrapeStage()
        let scraper = try stage.scraper(ScrapeJob(name: "node"))
        stage.reply("# TYPE a counter\n# HELP a All a.\na{job=\"own\"} 1\nb 2.5\n")
        await scraper.scrape(atMilliseconds: 1_000)
        #expect(
            stage.lastSamples == [
                "a{exported_job=\"own\", instance=\"web1:9100\", job=\"node\"} 1 @1000",
                "b{instance=\"web1:9100\", job=\"node\"} 2.5 @1000",
                "scrape_duration_seconds{instance=\"web1:9100\", job=\"node\"} 0 @1000",
                "scrape_samples_post_metric_relabeling{instance=\"web1:9100\", job=\"node\"} 2 @1000",
                "scrape_samples_scraped{instance=\"web1:9100\", job=\"node\"} 2 @1000",
                "scrape_series_added{instance=\"web1:9100\", job=\"node\"} 2 @1000",
                "up{instance=\"web1:9100\", job=\"node\"} 1 @1000",
            ])
        let metadata = stage.state.withLock { $0.batches[0].metadata }
        #expect(metadata == [MetricMetadata(metricName: "a", kind: .counter, help: "All a.")])
        stage.reply("# TYPE a counter\n# HELP a All a.\na{job=\"own\"} 2\n")
        await scraper.scrape(atMilliseconds: 2_000)
        #expect(stage.lastSamples.contains("b{instance=\"web1:9100\", job=\"node\"} stale @2000"))
        #expect(stage.lastSamples.contains("scrape_series_added{instance=\"web1:9100\", job=\"node\"} 0 @2000"))
        #expect(stage.state.withLock { $0.batches[1].metadata }.isEmpty)
        // It ended once, and coming back it is new.
        stage.reply("a{job=\"own\"} 3\nb 1\n")
        await scraper.scrape(atMilliseconds: 3_000)
        #expect(stage.lastSamples.contains("b{instance=\"web1:9100\", job=\"node\"} 1 @3000"))
        #expect(stage.lastSamples.contains("scrape_series_added{instance=\"web1:9100\", job=\"node\"} 1 @3000"))
        #expect(!stage.lastSamples.contains { $0.contains("stale") })
    }

    @Test(arguments: [
        ("a 1\nb x\n", "line 2: expected a value, found \"x\""),
        ("<html>", "line 1: expected a metric name, found '<'"),
    ])
    func aTextOutOfOrderIsNoScrape(text: String, words: String) async throws {
        let stage = ScrapeStage()
        let scraper = try stage.scraper(ScrapeJob(name: "node"))
        stage.reply("a 1\n")
        await scraper.scrape(atMilliseconds: 1_000)
        stage.reply(text)
        await scraper.scrape(atMilliseconds: 2_000)
        #expect(stage.lastSamples.first == "a{instance=\"web1:9100\", job=\"node\"} stale @2000")
        #expect(stage.lastSamples.last == "up{instance=\"web1:9100\", job=\"node\"} 0 @2000")
        #expect(stage.lastSamples.count == 6)
        #expect(scraper.status.lastError == words)
        #expect(scraper.status.health == .down)
        // The markers are set once.
        await scraper.scrape(atMilliseconds: 3_000)
        #expect(stage.lastSamples.count == 5)
        #expect(scraper.status.lastError == "connect: connection refused")
    }

    @Test func limitsFailTheWholeScrape() async throws {
        let stage = ScrapeStage()
        var job = ScrapeJob(name: "node")
        job.limits.samples = 2
        job.limits.bodyBytes = 20
        let scraper = try stage.scraper(job)
        stage.reply("a 1\nb 1\nc 1\n")
        await scraper.scrape(atMilliseconds: 1_000)
        #expect(scraper.status.lastError == "sample limit exceeded: more than 2 samples after relabeling")
        #expect(stage.lastSamples.count == 5)
        stage.reply("abc 123456789 1234567\n")
        await scraper.scrape(atMilliseconds: 2_000)
        #expect(scraper.status.lastError == "body size limit exceeded: longer than 20 B")
        let bomb = Compression.gzip.compress([UInt8](repeating: 0x20, count: 1 << 20), level: 9)
        job.limits.bodyBytes = 4_096
        let other = try stage.scraper(job)
        let coding = [HTTPField("Content-Encoding", "gzip")]
        stage.state.withLock { $0.replies.append(HTTPReply(status: 200, fields: coding, body: bomb)) }
        await other.scrape(atMilliseconds: 3_000)
        #expect(other.status.health == .down)
    }

    @Test func openMetricsBringsTimesExemplarsAndAnEnd() async throws {
        let stage = ScrapeStage()
        let scraper = try stage.scraper(ScrapeJob(name: "app"))
        let type = HTTPField("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
        stage.reply(
            "# TYPE h histogram\n# UNIT h seconds\nh_bucket{le=\"1\"} 3 # {trace_id=\"x\"} 0.5 1.5\nold 7 12.25\n# EOF\n",
            type)
        await scraper.scrape(atMilliseconds: 20_000)
        #expect(stage.lastSamples[0] == "h_bucket{instance=\"web1:9100\", job=\"app\", le=\"1\"} 3 @20000")
        #expect(stage.lastSamples[1] == "old{instance=\"web1:9100\", job=\"app\"} 7 @12250")
        let group = stage.state.withLock { $0.batches[0].groups[0] }
        #expect(group.exemplars.map(\.milliseconds) == [1_500])
        #expect(group.exemplars.map(\.labels) == [Labels(["trace_id": "x"])])
        // A series with times of its own does not end with the scrape that lacks it.
        stage.reply("h_bucket{le=\"1\"} 3\n# EOF\n", type)
        await scraper.scrape(atMilliseconds: 21_000)
        #expect(!stage.lastSamples.contains { $0.contains("stale") })
        stage.reply("h_bucket{le=\"1\"} 3\n", type)
        await scraper.scrape(atMilliseconds: 22_000)
        #expect(scraper.status.lastError == "line 2: the text does not end with # EOF")
    }

    @Test func labelsAreHonouredAsThePushgatewayNeedsIt() async throws {
        let stage = ScrapeStage()
        var job = ScrapeJob(name: "push")
        job.honorsLabels = true
        job.honorsTimestamps = false
        let scraper = try stage.scraper(job)
        stage.reply("a{job=\"batch\",instance=\"\"} 1 5000\n")
        await scraper.scrape(atMilliseconds: 9_000)
        #expect(stage.lastSamples[0] == "a{job=\"batch\"} 1 @9000")
    }

    @Test func metricRelabelingDropsRenamesAndMerges() async throws {
        let stage = ScrapeStage()
        var job = ScrapeJob(name: "app")
        job.metricRelabeling = [
            try RelabelRule(.drop, sourceLabels: ["__name__"], regex: "go_.*"),
            try RelabelRule(.labeldrop, regex: "pod"),
        ]
        let scraper = try stage.scraper(job)
        stage.reply("go_threads 1\na{pod=\"1\"} 1\n")
        await scraper.scrape(atMilliseconds: 1_000)
        #expect(stage.lastSamples[0] == "a{instance=\"web1:9100\", job=\"app\"} 1 @1000")
        #expect(stage.lastSamples.contains("scrape_samples_scraped{instance=\"web1:9100\", job=\"app\"} 2 @1000"))
        // Another pod is the same series after relabeling: it goes on.
        stage.reply("a{pod=\"2\"} 2\n")
        await scraper.scrape(atMilliseconds: 2_000)
        #expect(stage.lastSamples[0] == "a{instance=\"web1:9100\", job=\"app\"} 2 @2000")
        #expect(!stage.lastSamples.contains { $0.contains("stale") })
    }

    @Test func asksAsPrometheusDoes() async throws {
        let stage = ScrapeStage()
        var job = ScrapeJob(name: "app")
        job.path = "/probe"
        job.parameters = ["module": ["http_2xx"], "target": ["a b"]]
        job.authorization = .basic(user: .text("me"), password: .file("secret"))
        job.groups = [ScrapeJob.TargetGroup(addresses: ["x:1"], labels: ["__param_target": "c&d", "env": "test"])]
        let scraper = try stage.scraper(job)
        stage.reply("", status: 302, HTTPField("Location", "http://y:2/m?q=1"))
        stage.reply("a 1\n")
        await scraper.scrape(atMilliseconds: 1_000)
        let calls = stage.state.withLock { $0.calls }
        #expect(calls[0].target == "/probe?module=http_2xx&target=c%26d")
        #expect(calls[0].fields["Authorization"] == "Basic bWU6c2VjcmV0")
        #expect(calls[0].fields["X-Prometheus-Scrape-Timeout-Seconds"] == "10")
        #expect("\(calls[1].endpoint)\(calls[1].target)" == "http://y:2/m?q=1")
        // Another host does not get the secret.
        #expect(calls[1].fields["Authorization"] == nil)
        #expect(stage.lastSamples[0] == "a{env=\"test\", instance=\"x:1\", job=\"app\"} 1 @1000")
    }

    @Test func whatTheStoreRefusesIsSaidAndTheEndOfATargetEndsAll() async throws {
        let stage = ScrapeStage()
        let scraper = try stage.scraper(ScrapeJob(name: "node"))
        stage.state.withLock { $0.refusal = AppendRefusal(.unavailable, "disk full") }
        stage.reply("a 1\n")
        await scraper.scrape(atMilliseconds: 1_000)
        #expect(scraper.status.lastError == "the samples were not stored: disk full")
        stage.state.withLock { $0.refusal = nil }
        await scraper.end()
        #expect(stage.lastSamples.count == 6)
        #expect(stage.lastSamples.allSatisfy { $0.contains(" stale @") })
    }

    @Test func aBatchForTheSpoolIsCutIntoPieces() {
        var group = SampleGroup(target: Labels(["job": "x"]))
        for index in 0..<25_000 { group.append(Labels(["n": "\(index)"]), milliseconds: 1, value: Double(index)) }
        let metadata = [MetricMetadata(metricName: "m", kind: .gauge)]
        let pieces = SpoolScrapeSink.pieces(of: SampleBatch(groups: [group], metadata: metadata))
        #expect(pieces.map(\.sampleCount) == [10_000, 10_000, 5_000])
        #expect(pieces.map(\.metadata.count) == [1, 0, 0])
        #expect(pieces[2].groups[0].series.map(\.labels) == group.series[20_000...].map(\.labels))
    }
}
