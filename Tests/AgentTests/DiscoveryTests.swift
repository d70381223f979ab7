import Telemetry
import TestSupport
import Testing

@testable import Agent

/// Which cgroups are containers, and what is known of them from which source.
@Suite struct DiscoveryTests {
    private static let id = String(repeating: "ab01", count: 16)

    @Test(arguments: [
        ("/docker/ID", ContainerPath.Runtime.docker, nil as String?),
        ("/system.slice/docker-ID.scope", .docker, nil),
        ("/custom.parent/ID", .docker, nil),
        (
            "/kubepods/burstable/pod0d6f1d3e-5d0b-4c8e-9a59-2f1c1a9d5b11/ID", .containerd,
            "0d6f1d3e-5d0b-4c8e-9a59-2f1c1a9d5b11"
        ),
        (
            "/kubepods.slice/kubepods-burstable.slice/"
                + "kubepods-burstable-pod0d6f1d3e_5d0b_4c8e_9a59_2f1c1a9d5b11.slice/cri-containerd-ID.scope",
            .containerd, "0d6f1d3e-5d0b-4c8e-9a59-2f1c1a9d5b11"
        ),
        ("/kubepods/pod0d6f1d3e5d0b4c8e9a592f1c1a9d5b11/crio-ID", .crio, "0d6f1d3e5d0b4c8e9a592f1c1a9d5b11"),
        ("/machine.slice/libpod-ID.scope/container", .podman, nil),
        ("/libpod_parent/libpod-ID", .podman, nil),
        (
            "/system.slice/containerd.service/"
                + "kubepods-besteffort-pod0d6f1d3e_5d0b_4c8e_9a59_2f1c1a9d5b11.slice:cri-containerd:ID",
            .containerd, "0d6f1d3e-5d0b-4c8e-9a59-2f1c1a9d5b11"
        ),
    ])
    func aContainersGroupIsRecognised(_ path: String, _ runtime: ContainerPath.Runtime, _ pod: String?) throws {
        let parts = path.split(separator: "ID", omittingEmptySubsequences: false)
        let facts = try #require(ContainerPath(parts.joined(separator: Self.id)))
        #expect(facts.id == Self.id)
        #expect(facts.runtime == runtime)
        #expect(facts.pod == pod)
    }

    @Test(arguments: [
        "/", "/docker", "/user.slice/user-0.slice",
        "/system.slice/crio-conmon-\(DiscoveryTests.id).scope", "/docker/\(DiscoveryTests.id)f",
        "/docker/\(DiscoveryTests.id)/init",
    ])
    func otherGroupsAreNot(_ path: String) {
        #expect(ContainerPath(path) == nil)
    }

    @Test func cgroupMountsAreFoundWhereverTheyAre() {
        let split = CgroupLayout(of: Fixture.host("v1-hybrid"))
        #expect(split.legacy(.cpu)?.path("/docker/x", "cpu.stat") == "/sys/fs/cgroup/cpu/docker/x/cpu.stat")
        #expect(split.unified?.point == "/sys/fs/cgroup/unified")
        #expect(split.searched == split.legacy(.memory))
        let unified = CgroupLayout(of: Fixture.host("v2"))
        #expect(unified.controllers.isEmpty)
        #expect(unified.unifiedControllers.contains("memory"))
        #expect(unified.searched == unified.unified)
    }

    @Test func joinedControllersAndAPartialMountAreUnderstood() {
        let scratch = ScratchFolder()
        scratch.makeFolder("proc")
        scratch.makeFolder("proc/self")
        scratch.write(
            """
            33 31 0:30 / /cg/cpu,cpuacct rw,nosuid shared:10 - cgroup cgroup rw,cpu,cpuacct
            34 31 0:31 /docker/outer /cg/memory ro - cgroup cgroup rw,memory

            """, to: "proc/self/mountinfo")
        let layout = CgroupLayout(of: HostRoot(scratch.path))
        #expect(layout.legacy(.cpu)?.point == "/cg/cpu,cpuacct")
        #expect(layout.legacy(.cpuacct)?.point == "/cg/cpu,cpuacct")
        #expect(layout.legacy(.memory)?.path("/docker/outer/docker/in", "f") == "/cg/memory/docker/in/f")
        #expect(layout.legacy(.memory)?.path("/elsewhere", "f") == nil)
        #expect(layout.summary == "v1")
    }

    @Test func aSilentEngineLeavesItsFilesAndTheKernel() throws {
        let container = try #require(Fixture.containers("v2").first)
        #expect(container.service == "bank_cache")
        #expect(container.cgroup == "/system.slice/docker-\(container.id).scope")
        #expect(container.isRunning)
        let labels = Dictionary(
            container.seriesLabels(node: "n").map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
        #expect(labels["container_label_com_docker_swarm_service_name"] == "bank_cache")
        #expect(labels["container_label_com_docker_compose_config_hash"] == nil)
        #expect(labels["id"] == container.cgroup)
    }

    @Test func aNewGroupWaitsForItsNameAndThenGoesWithout() {
        let registry = ContainerRegistry()
        let path = "/docker/\(Self.id)"
        guard let facts = ContainerPath(path) else { return }
        registry.setEngine([Container](), atNanoseconds: 0)
        registry.setGroups([Self.id: ContainerGroup(path: path, facts: facts)], atNanoseconds: 1)
        #expect(registry.snapshot.containers.isEmpty)
        registry.refresh(atNanoseconds: ContainerViews.strangerNanoseconds + 2)
        #expect(registry.container(Self.id)?.isRunning == true)
    }

    @Test func anEngineThatHangsIsOverruledByTheKernel() {
        let registry = ContainerRegistry()
        var container = Container(id: Self.id)
        container.isRunning = true
        container.name = "web"
        registry.setEngine([container], atNanoseconds: 0)
        #expect(registry.container(Self.id)?.isRunning == true)
        // Its group is gone, and the engine has not said a word for longer than it may.
        registry.refresh(atNanoseconds: ContainerViews.engineSilenceNanoseconds + 1)
        #expect(registry.container(Self.id)?.isRunning == false)
        #expect(registry.container(Self.id)?.name == "web")
    }

    @Test func labelsOfAContainerAreBounded() {
        var container = Container(id: Self.id)
        for number in 0..<200 { container.labels["label-\(number)"] = "x" }
        container.labels["long"] = String(repeating: "y", count: 4096)
        let labels = container.seriesLabels(node: "n")
        #expect(labels.count <= 26)
        #expect(!labels.contains { $0.value.utf8.count > 128 })
    }

    @Test func engineEventsAreRead() throws {
        let text = """
            {"status":"die","id":"\(Self.id)","from":"bb:1","Type":"container","Action":"die","Actor":{"ID":"\(Self.id)",\
            "Attributes":{"exitCode":"137","image":"bb:1","name":"oom"}},"scope":"local","time":1,"timeNano":1000000005}
            """
        let event = try #require(EngineEvent(try JSONValue(parsing: text)))
        #expect(event.action == "die")
        #expect(event.exitCode == 137)
        #expect(event.nanoseconds == 1_000_000_005)
        let health = text.split(separator: "\"die\"", omittingEmptySubsequences: false)
            .joined(separator: "\"health_status: unhealthy\"")
        let second = try #require(EngineEvent(try JSONValue(parsing: health)))
        #expect(second.action == "health_status")
        #expect(second.detail == "unhealthy")
    }

    /// A command may come before an agent that has just begun has asked the engine: it waits for its word, no longer.
    @Test func whoAsksForAContainerWaitsForTheEnginesWord() async {
        let clock = ManualClock()
        let registry = ContainerRegistry()
        var container = Container(id: "stopped")
        container.isRunning = false
        let waiting = Task { await registry.awaitWord(about: "stopped", clock: clock) }
        try? await Task.sleep(for: .milliseconds(20))
        registry.setEngine([container], atNanoseconds: clock.nowNanoseconds)
        await waiting.value
        #expect(registry.container("stopped") != nil)
        // What the engine does not know is not waited for.
        let start = ContinuousClock.now
        await registry.awaitWord(about: "never", clock: clock)
        #expect(ContinuousClock.now - start < .seconds(1))
    }
}
