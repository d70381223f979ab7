import Telemetry
import TestSupport
import Testing
import Transport
import Wire

@testable import Agent

/// Whose word on the pods holds, and what it makes of containers.
@Suite struct ClusterViewTests {
    private static let uid = "0d6f1d3e-5d0b-4c8e-9a59-2f1c1a9d5b11"
    private static let id = String(repeating: "ab01", count: 16)
    private let clock = ManualClock(nanoseconds: 1_000_000_000_000)

    private func pods(_ phase: String, _ uid: String = uid) throws -> [String: PodDescription] {
        let json = try JSONValue(parsing: ClusterStage.pod("web-6d4cf56db6-x7x2p", uid: uid, phase: phase))
        return [uid: try #require(PodDescription(json))]
    }

    @Test func theKubeletsWordHoldsOnlyWhileTheServerIsSilent() throws {
        let view = ClusterView { [clock] in clock.nowNanoseconds }
        #expect(view.snapshot.pods == nil)
        view.setKubelet(try pods("Pending"))
        #expect(view.snapshot.pods?[Self.uid]?.phase == "Pending")
        view.setAPI(try pods("Running"))
        #expect(view.isAPIFresh)
        #expect(view.snapshot.pods?[Self.uid]?.phase == "Running")
        clock.advance(milliseconds: 170_000)
        view.setKubelet(try pods("Failed"))
        #expect(view.snapshot.pods?[Self.uid]?.phase == "Running")
        clock.advance(milliseconds: 20_000)
        #expect(!view.isAPIFresh)
        #expect(view.snapshot.pods?[Self.uid]?.phase == "Failed")
        #expect(view.summary.contains("kubelet answers"))
        // A sign of life of a watch is enough: nothing has changed since.
        view.setAPI(nil)
        #expect(view.snapshot.pods?[Self.uid]?.phase == "Running")
        // What nobody confirms is not shown for ever.
        clock.advance(milliseconds: 700_000)
        #expect(view.snapshot.pods == nil)
        #expect(view.summary.contains("nobody answers"))
    }

    @Test func theKubeletIsAskedOnlyWhileTheServerIsSilent() async throws {
        let stage = try await ClusterStage()
        stage.change("a", uid: "u1")
        let view = ClusterView { SystemMonotonicClock().nowNanoseconds }
        var kubelet = KubeletPods(
            api: stage.api(ServiceAccount.kubeletProfile), view: view, notices: Fixture.quiet)
        kubelet.everyMilliseconds = 10
        let asking = kubelet
        let task = Task { await asking.run() }
        #expect(await RunningWatch.holds { view.pods["u1"]?.name == "a" })
        view.setAPI([:])
        try await Task.sleep(for: .milliseconds(40))
        let before = stage.questions.count
        try await Task.sleep(for: .milliseconds(60))
        #expect(stage.questions.count == before)
        task.cancel()
        await task.value
        await stage.stop()
    }

    private func identity(_ extra: String, status: String = "{}") throws -> PodIdentity {
        let text = """
            {"metadata":{"name":"checkout-6d4cf56db6-x7x2p","namespace":"shop","uid":"\(Self.uid)",\(extra)},\
            "spec":{"nodeName":"n1"},"status":\(status)}
            """
        return PodIdentity(try #require(PodDescription(try JSONValue(parsing: text))))
    }

    @Test func whatMadeAPodIsWhatItIsAnInstanceOf() throws {
        func owned(_ kind: String, _ name: String, _ labels: String = "") throws -> String? {
            try identity(
                """
                "labels":{"app":"x"\(labels)},\
                "ownerReferences":[{"kind":"\(kind)","name":"\(name)","controller":true}]
                """
            ).workload
        }
        #expect(try owned("ReplicaSet", "checkout-abc", ",\"pod-template-hash\":\"abc\"") == "checkout")
        #expect(try owned("ReplicaSet", "checkout-6d4cf56db6") == "checkout")
        #expect(try owned("StatefulSet", "db") == "db")
        #expect(try owned("DaemonSet", "proxy") == "proxy")
        #expect(try owned("Job", "backup-28423680") == "backup")
        #expect(try owned("Job", "migrate-2") == "migrate-2")
        #expect(try identity("\"labels\":{\"app\":\"x\"}").workload == "x")
        #expect(try identity("\"labels\":{}").workload == nil)
    }

    @Test func aStaticPodIsKnownByTheKubeletsUidAndWithoutItsNode() throws {
        let text = """
            {"metadata":{"name":"kube-apiserver-n1","namespace":"kube-system","uid":"other",\
            "annotations":{"kubernetes.io/config.hash":"0d6f1d3e5d0b4c8e9a592f1c1a9d5b11","more":"{}"},\
            "ownerReferences":[{"kind":"Node","name":"n1","controller":true}]},"spec":{"nodeName":"n1"}}
            """
        let pod = try #require(PodDescription(try TrimmedJSON.object(Array(text.utf8))))
        let identities = PodIdentity.all([pod])
        #expect(identities["0d6f1d3e5d0b4c8e9a592f1c1a9d5b11"]?.workload == "kube-apiserver")
        #expect(identities["other"] == identities["0d6f1d3e5d0b4c8e9a592f1c1a9d5b11"])
    }

    private func registry() throws -> (ContainerRegistry, [String: ContainerGroup]) {
        let path = "/kubepods/burstable/pod\(Self.uid)/\(Self.id)"
        let facts = try #require(ContainerPath(path))
        var group = ContainerGroup(path: path, facts: facts)
        var container = Container(id: Self.id)
        container.runtime = .containerd
        container.cgroup = path
        container.podUID = Self.uid
        container.isRunning = true
        group.container = container
        return (ContainerRegistry(), [Self.id: group])
    }

    @Test func containersOfAPodHaveItsNamesAndKeepThemToTheEnd() throws {
        let (registry, groups) = try registry()
        registry.expectPods()
        registry.setGroups(groups, atNanoseconds: 0)
        // It waits for its name, though not for ever.
        #expect(registry.container(Self.id) == nil)
        let status = """
            {"containerStatuses":[{"name":"app","image":"web:1","containerID":"containerd://\(Self.id)"}]}
            """
        let pod = try identity(
            "\"ownerReferences\":[{\"kind\":\"StatefulSet\",\"name\":\"db\",\"controller\":true}]", status: status)
        registry.setPods([Self.uid: pod], atNanoseconds: 1_000_000_000)
        let container = try #require(registry.container(Self.id))
        #expect(container.service == "shop/db/app")
        #expect(container.image == "web:1")
        #expect(container.pod == "checkout-6d4cf56db6-x7x2p")
        #expect(container.containerName == "app")
        // The pod is deleted before its last process is gone: the names stay.
        registry.setPods([:], atNanoseconds: 2_000_000_000)
        #expect(registry.container(Self.id)?.service == "shop/db/app")
        registry.setGroups([:], atNanoseconds: 3_000_000_000)
        registry.setPods([:], atNanoseconds: 4_000_000_000)
        #expect(registry.container(Self.id) == nil)
    }

    @Test func withoutAnAnswerAContainerIsShownAfterThreeSeconds() throws {
        let (registry, groups) = try registry()
        registry.expectPods()
        registry.setGroups(groups, atNanoseconds: 0)
        registry.refresh(atNanoseconds: 3_100_000_000)
        #expect(registry.container(Self.id)?.isRunning == true)
    }
}
