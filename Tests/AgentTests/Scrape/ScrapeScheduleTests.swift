import Telemetry
import Testing

@testable import Agent

/// When targets are scraped, and what relabeling makes of them.
@Suite struct ScrapeScheduleTests {
    private func targets(_ count: Int) -> [ScrapeTarget] {
        var job = ScrapeJob(name: "node")
        job.groups = [ScrapeJob.TargetGroup(addresses: (0..<count).map { "host\($0):9100" })]
        return job.discover().targets
    }

    @Test func aThousandTargetsAreSpreadOverTheInterval() {
        var buckets = [Int](repeating: 0, count: 15)
        for target in targets(1_000) { buckets[Int(target.offsetMilliseconds / 1_000)] += 1 }
        #expect(buckets.allSatisfy { (40...95).contains($0) }, "\(buckets)")
    }

    @Test func turnsComeOncePerIntervalWhateverTheClockDoes() throws {
        let target = try #require(targets(1).first)
        let first = target.nextMilliseconds(after: nil, now: 1_700_000_000_000)
        #expect(first > 1_700_000_000_000 && first <= 1_700_000_015_000)
        #expect(first % 15_000 == target.offsetMilliseconds)
        #expect(target.nextMilliseconds(after: first, now: first + 20) == first + 15_000)
        // The clock was set back by a moment: not the same turn twice. By an hour: turns go on.
        #expect(target.nextMilliseconds(after: first, now: first - 30) == first + 15_000)
        #expect(target.nextMilliseconds(after: first, now: first - 3_600_000) < first - 3_584_000)
        // A slow scrape skips turns.
        #expect(target.nextMilliseconds(after: first, now: first + 40_000) == first + 45_000)
        #expect(ScrapeService.stamp(due: 1_000, now: 1_004, intervalMilliseconds: 15_000) == 1_000)
        #expect(ScrapeService.stamp(due: 1_000, now: 1_400, intervalMilliseconds: 15_000) == 1_400)
    }

    @Test(
        arguments: [
            (RelabelRule.Action.replace, ["a", "b"], "(.*);(.*)", "c", "${2}-$1", ["a": "1", "b": "2", "c": "2-1"]),
            (.replace, ["a"], "9", "c", "$1", ["a": "1", "b": "2"]), (.replace, ["a"], "1", "b", "", ["a": "1"]),
            (.keep, ["a"], "1|x", "", "", ["a": "1", "b": "2"]), (.keep, ["a"], "1x", "", "", nil),
            (.drop, ["a"], "[0-9]", "", "", nil),
            (.labelmap, [], "(a)", "", "new_$1", ["a": "1", "b": "2", "new_a": "1"]),
            (.labeldrop, [], "a|x", "", "", ["b": "2"]), (.labelkeep, [], "a", "", "", ["a": "1"]),
            (.hashmod, ["a", "b"], "(.*)", "m", "", ["a": "1", "b": "2", "m": "16"]),
            (.keepequal, ["a"], "(.*)", "b", "", nil), (.dropequal, ["a"], "(.*)", "b", "", ["a": "1", "b": "2"]),
        ] as [(RelabelRule.Action, [String], String, String, String, [String: String]?)])
    func relabels(
        action: RelabelRule.Action, sources: [String], regex: String, target: String, replacement: String,
        expected: [String: String]?
    ) throws {
        let rule = try RelabelRule(
            action, sourceLabels: sources, regex: regex, targetLabel: target, replacement: replacement, modulus: 100)
        #expect(RelabelRule.apply([rule], to: ["a": "1", "b": "2"]) == expected)
    }

    @Test func targetsAreRelabeledDroppedAndCountedOnce() throws {
        var job = ScrapeJob(name: "node")
        job.groups = [ScrapeJob.TargetGroup(addresses: ["a:1", "a:1", "b:2", "no/path"], labels: ["__meta": "x"])]
        job.relabeling = [
            try RelabelRule(.drop, sourceLabels: ["__address__"], regex: "b.*"),
            try RelabelRule(sourceLabels: ["__address__"], regex: "(.*):.*", targetLabel: "instance"),
            try RelabelRule(sourceLabels: ["__meta"], targetLabel: "__scrape_interval__", replacement: "30s"),
        ]
        let discovery = job.discover()
        #expect(discovery.targets.map(\.labels.description) == ["{instance=\"a\", job=\"node\"}"])
        #expect(discovery.targets.map(\.intervalMilliseconds) == [30_000])
        #expect(discovery.dropped.map { $0["__address__"] } == ["b:2"])
        #expect(discovery.faults == ["job node, target no/path: \"no/path\" is not HOST:PORT"])
    }
}
