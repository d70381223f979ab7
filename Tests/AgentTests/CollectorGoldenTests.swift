import Glibc
import Telemetry
import Testing

@testable import Agent

/// What collectors read from fixture roots, against golden files. `VEDETTE_WRITE_GOLDEN=1` writes them anew.
@Suite struct CollectorGoldenTests {
    @Test(arguments: ["v1-hybrid", "v1-joined", "v2", "v2-bare"])
    func collectorsReadAFixtureAsTheGoldenFileSays(_ name: String) {
        let context = Fixture.context(name)
        let tick = Tick(nanoseconds: 1_795_456_800_000_000_000, number: 0)
        let host = HostTarget(context, intervalMilliseconds: 1000)
        var groups = host.collect(tick)
        for container in Fixture.containers(name) {
            let target = ContainerTarget(container, context: context, intervalMilliseconds: 1000)
            groups += target.collect(tick)
        }
        let text = Fixture.text(groups)
        let golden = "\(name).expected.txt"
        if getenv("VEDETTE_WRITE_GOLDEN") != nil {
            ScratchFolder.overwrite("\(Fixture.folder)/\(golden)", text.joined(separator: "\n") + "\n")
        }
        let expected = Fixture.lines(golden)
        #expect(!expected.isEmpty)
        for difference in text.difference(from: expected) {
            switch difference {
            case .insert(_, let line, _): Issue.record("not in \(golden): \(line)")
            case .remove(_, let line, _): Issue.record("only in \(golden): \(line)")
            }
        }
    }

    @Test func theSecondTickOfAHostDeclaresNothingNew() {
        let context = Fixture.context("v2")
        let host = HostTarget(context, intervalMilliseconds: 1000)
        host.collect(Tick(nanoseconds: 1_000_000_000, number: 0))
        let declared = host.samples.group.series.count
        host.collect(Tick(nanoseconds: 2_000_000_000, number: 1))
        #expect(host.samples.group.series.count == declared)
        #expect(host.samples.group.values.count == declared)
    }

    @Test func aContainersSeriesEndWhenItStops() throws {
        let context = Fixture.context("v2")
        var container = try #require(Fixture.containers("v2").first)
        let target = ContainerTarget(container, context: context, intervalMilliseconds: 1000)
        target.collect(Tick(nanoseconds: 1_000_000_000, number: 0))
        container.isRunning = false
        #expect(target.adopt(container, milliseconds: 1_500).isEmpty)
        target.collect(Tick(nanoseconds: 2_000_000_000, number: 1))
        let group = target.samples.group
        func value(_ name: String) -> Double? {
            let index = group.seriesIndexes.indices.last { position in
                group.series[Int(group.seriesIndexes[position])].labels.metricName == name
            }
            return index.map { group.values[$0] }
        }
        #expect(value("container_memory_usage_bytes").map { Sample.isStale($0) } == true)
        #expect(value("container_oom_events_total") == 0)
        #expect(value("container_running") == 0)
        target.collect(Tick(nanoseconds: 3_000_000_000, number: 2))
        #expect(!Fixture.text([target.samples.group]).contains { $0.contains("container_memory_usage_bytes") })
    }

    @Test func theRealHostHasProcessorsMemoryAndLoad() {
        let host = HostRoot()
        let context = CollectionContext(
            host: host, layout: CgroupLayout(of: host), node: "here", notices: Fixture.quiet, counters: EventCounters())
        let target = HostTarget(context, intervalMilliseconds: 1000)
        target.collect(Tick(nanoseconds: 1_000_000_000, number: 0))
        let text = Fixture.text([target.samples.group, target.slowSamples.group])
        for name in [
            "node_cpu_seconds_total", "node_memory_MemTotal_bytes", "node_load1", "node_boot_time_seconds",
            "node_filesystem_size_bytes", "node_timex_sync_status", "node_network_up", "machine_cpu_cores",
        ] {
            #expect(text.contains { $0.hasPrefix(name) })
        }
        #expect(!text.contains { $0.hasSuffix(" nan") })
    }
}

extension ScratchFolder {
    /// Replaces a file anywhere.
    static func overwrite(_ path: String, _ text: String) {
        guard let file = fopen(path, "w") else { return }
        fputs(text, file)
        fclose(file)
    }
}
