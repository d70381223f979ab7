import Glibc
import Telemetry
import TestSupport
import Testing

@testable import Agent

/// The metrics of pods and nodes, against a golden file. `VEDETTE_WRITE_GOLDEN=1` writes it anew.
@Suite struct ClusterSamplesTests {
    private let clock = ManualClock(nanoseconds: 1_795_456_800_000_000_000)

    private func fixture(_ name: String) throws -> [UInt8] {
        try #require(HostRoot(Fixture.folder).bytes("/kubernetes/\(name)"))
    }

    private func pods() throws -> [String: PodDescription] {
        var pods: [String: PodDescription] = [:]
        let end = try TrimmedJSON.list(try fixture("pods.json")) { json in
            if let pod = PodDescription(json) { pods[pod.uid] = pod }
        }
        #expect(end.version == "4711")
        return pods
    }

    private func tick(_ number: Int) -> Tick {
        Tick(nanoseconds: clock.nowNanoseconds + Int64(number) * 1_000_000_000, number: number)
    }

    @Test func podsAndTheNodeAreShownAsTheGoldenFileSays() throws {
        let view = ClusterView { [clock] in clock.nowNanoseconds }
        view.setAPI(try pods())
        let node = try #require(NodeDescription(try TrimmedJSON.object(try fixture("node.json"))))
        view.setNode([node.name: node])
        let samples = ClusterSamples(view, node: "n1", intervalMilliseconds: 1_000)
        let text = Fixture.text(samples.collect(tick(0)))
        if getenv("VEDETTE_WRITE_GOLDEN") != nil {
            ScratchFolder.overwrite(
                "\(Fixture.folder)/kubernetes/expected.txt", text.joined(separator: "\n") + "\n")
        }
        #expect(text == Fixture.lines("kubernetes/expected.txt"))
        #expect(Set(samples.takeMetadata().map(\.metricName)).count == PodFamily.all.count + NodeFamily.all.count)
    }

    @Test func theNamesAreThoseThatRulesForKubernetesAskFor() {
        let names = Set(PodFamily.all.map(\.metric.name) + NodeFamily.all.map(\.metric.name))
        let wanted = [
            "kube_pod_info", "kube_pod_owner", "kube_pod_status_phase", "kube_pod_status_ready",
            "kube_pod_status_reason", "kube_pod_container_status_waiting_reason",
            "kube_pod_container_resource_requests", "kube_pod_container_resource_limits", "kube_pod_container_info",
            "kube_node_info", "kube_node_role", "kube_node_spec_taint", "kube_node_spec_unschedulable",
            "kube_node_status_allocatable", "kube_node_status_capacity", "kube_node_status_condition",
        ]
        #expect(names.isSuperset(of: wanted))
    }

    @Test func whatChangedIsToldAtOnceTheRestInTheSlowLaneAndWhatIsGoneEnds() throws {
        let view = ClusterView { [clock] in clock.nowNanoseconds }
        var pods = try pods()
        view.setAPI(pods)
        let samples = ClusterSamples(view, node: "n1", intervalMilliseconds: 1_000)
        #expect(samples.collect(tick(0)).count == pods.count)
        #expect(samples.collect(tick(1)).isEmpty)
        let uid = try #require(pods.keys.sorted().first)
        pods[uid]?.phase = "Failed"
        view.setAPI(pods)
        let changed = samples.collect(tick(2))
        #expect(Fixture.text(changed).contains { $0.contains("phase=\"Failed\"") && $0.hasSuffix(" 1.0") })
        // Once in fifteen ticks everything is told.
        let later = (3...40).map { samples.collect(tick($0)).count }
        #expect(later.reduce(0, +) >= 2 * pods.count)
        pods[uid] = nil
        view.setAPI(pods)
        let ended = samples.collect(tick(41)).filter { group in group.values.allSatisfy { Sample.isStale($0) } }
        #expect(ended.count == 1)
        // Nobody confirms anything any more: what is not known is not told, and ends.
        clock.advance(milliseconds: 700_000)
        let silent = samples.collect(tick(60))
        #expect(silent.count == pods.count)
        #expect(silent.allSatisfy { group in group.values.allSatisfy { Sample.isStale($0) } })
    }

    @Test(arguments: [
        ("100m", 0.1), ("1", 1), ("1.5", 1.5), ("250u", 0.001), ("1n", 0.001), ("0", 0), ("-2", -2), ("2k", 2_000),
        ("1e3", 1_000), ("1E3", 1_000), ("1.1", 1.1), ("12E", 9_223_372_036_854_775.807), (".5", 0.5),
    ])
    func quantitiesAreReadAsKubernetesReadsThem(_ text: String, _ value: Double) {
        #expect(ResourceQuantity(text)?.value == value)
    }

    @Test func sizesAreWholeAndNonsenseIsNone() {
        #expect(ResourceQuantity("128Mi")?.wholeValue == 134_217_728)
        #expect(ResourceQuantity("1.5Gi")?.wholeValue == 1_610_612_736)
        #expect(ResourceQuantity("100m")?.wholeValue == 1)
        for text in ["", "Mi", "1Q", "1 Gi", "0x10", "1e", "1.2.3", "1e99"] { #expect(ResourceQuantity(text) == nil) }
    }
}
