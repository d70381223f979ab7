import Telemetry
import Testing

@testable import Agent

/// Which cgroups are what, and what runtimes' own files say of them: every layout that research found, as a table.
@Suite struct RuntimeDiscoveryTests {
    private static let id = String(repeating: "ab01", count: 16)
    private static let uuid = "0d6f1d3e-5d0b-4c8e-9a59-2f1c1a9d5b11"
    private static let inner = "11111111-5d0b-4c8e-9a59-2f1c1a9d5b11"

    /// A path, with ID for the container's number; who made it; its id; its name; its pod.
    struct Row: Sendable {
        let path: String
        let runtime: ContainerPath.Runtime
        let id: String
        var name: String?
        var pod: String?

        init(
            _ path: String, _ runtime: ContainerPath.Runtime, _ id: String = "ID", name: String? = nil,
            pod: String? = nil
        ) {
            self.path = path
            self.runtime = runtime
            self.id = id
            self.name = name
            self.pod = pod
        }
    }

    private static let slice =
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"
        + "0d6f1d3e_5d0b_4c8e_9a59_2f1c1a9d5b11.slice"
    private static let rootless = "/user.slice/user-1000.slice/user@1000.service"

    static let rows: [Row] = [
        Row("/docker/ID", .docker), Row("/system.slice/docker-ID.scope", .docker), Row("/my.parent/ID", .docker),
        Row("/ecs/task-1/ID", .docker), Row("\(rootless)/user.slice/docker-ID.scope", .docker),
        Row("\(slice)/cri-containerd-ID.scope", .containerd, pod: uuid),
        Row("\(slice)/crio-ID.scope", .crio, pod: uuid),
        Row("\(slice)/crio-ID.scope/container", .crio, pod: uuid), Row("\(slice)/docker-ID.scope", .docker, pod: uuid),
        Row("/kubepods/besteffort/pod\(uuid)/ID", .containerd, pod: uuid),
        Row("/kubepods/pod\(uuid)/crio-ID", .crio, pod: uuid),
        Row(
            "/kubepods/pod0d6f1d3e5d0b4c8e9a592f1c1a9d5b11/ID", .containerd, pod: "0d6f1d3e5d0b4c8e9a592f1c1a9d5b11"),
        Row(
            "/system.slice/containerd.service/kubepods-besteffort-pod0d6f1d3e_5d0b_4c8e_9a59_2f1c1a9d5b11.slice:"
                + "cri-containerd:ID", .containerd, pod: uuid),
        Row("/machine.slice/libpod-ID.scope", .podman), Row("/machine.slice/libpod-ID.scope/container", .podman),
        Row("/libpod_parent/libpod-ID", .podman), Row("/libpod_parent/ID", .podman),
        Row("/machine.slice/machine-libpod_pod_1234.slice/libpod-ID.scope", .podman),
        Row("\(rootless)/user.slice/libpod-ID.scope/container", .podman),
        Row("\(rootless)/user.slice/user-libpod_pod_12.slice/libpod-ID.scope", .podman),
        Row("/system.slice/nerdctl-ID.scope", .nerdctl), Row("/default/ID", .nerdctl),
        Row("/mesos/\(uuid)", .mesos, "mesos:\(uuid)", name: uuid),
        Row("/mesos/\(uuid)/mesos/\(inner)", .mesos, "mesos:\(uuid).\(inner)", name: inner),
        Row("/lxc/web", .lxc, "lxc:web", name: "web"), Row("/lxc.payload.web", .lxc, "lxc:web", name: "web"),
        Row("/machine.slice/machine-deb\\x2dtest.scope", .machine, "machine:deb-test", name: "deb-test"),
        Row("/machine.slice/systemd-nspawn@web.service", .machine, "machine:web", name: "web"),
        Row("/machine.slice/machine-qemu\\x2d1\\x2dvm.scope", .machine, "machine:qemu-1-vm", name: "qemu-1-vm"),
        Row("/machine/vm1.libvirt-qemu", .machine, "machine:vm1", name: "vm1"),
        Row("/qemu.slice/104.scope", .machine, "machine:qemu-104", name: "qemu-104"),
        Row("/machine.slice/machine-rkt\\x2d\(inner).scope", .rkt, "rkt:\(inner)", name: "rkt-\(inner)"),
        Row("/system.slice/ssh.service", .systemd, "unit:ssh.service", name: "ssh.service"),
        Row(
            "/system.slice/system-getty.slice/getty@tty1.service", .systemd, "unit:getty@tty1.service",
            name: "getty@tty1.service"),
        Row("/runtime.slice/containerd.service", .systemd, "unit:containerd.service", name: "containerd.service"),
        Row("/system.slice/a\\x2db.service", .systemd, "unit:a-b.service", name: "a-b.service"),
        Row("\(rootless)/app.slice/app.service", .systemd, "unit:1000/app.service", name: "app.service"),
    ]

    @Test(arguments: rows) func aGroupIsRecognised(_ row: Row) throws {
        let path = Self.insert(row.path)
        let facts = try #require(ContainerPath(path), "\(path)")
        #expect(facts.runtime == row.runtime, "\(path)")
        #expect(facts.id == Self.insert(row.id), "\(path)")
        #expect(facts.name == row.name, "\(path)")
        #expect(facts.pod == row.pod, "\(path)")
    }

    @Test(arguments: [
        "/", "/docker", "/kubepods.slice", "/user.slice/user-0.slice", "/user.slice/user-1000.slice/user@1000.service",
        "/user.slice/user-1000.slice/session-3.scope", "/init.scope", "/mesos", "/mesos/not-a-uuid",
        "/lxc.monitor.web", "/lxc/web/ns", "/system.slice/ssh.service/child", "/system.slice", "/ssh.service",
        "/machine.slice", "/system.slice/crio-conmon-\(RuntimeDiscoveryTests.id).scope",
        "/machine.slice/libpod-conmon-\(RuntimeDiscoveryTests.id).scope", "/docker/\(RuntimeDiscoveryTests.id)f",
        "/docker/\(RuntimeDiscoveryTests.id)/init",
        "/kubepods/burstable/pod\(RuntimeDiscoveryTests.uuid)", "/qemu.slice/104.scope/emulator",
    ])
    func othersAreNot(_ path: String) {
        #expect(ContainerPath(path) == nil)
    }

    private static func insert(_ path: String) -> String {
        path.split(separator: "ID", omittingEmptySubsequences: false).joined(separator: id)
    }

    // MARK: - Files of runtimes

    private let scratch = ScratchFolder()

    private func write(_ text: String, to path: String) {
        var folder = ""
        for part in path.split(separator: "/").dropLast() {
            folder += folder.isEmpty ? "\(part)" : "/\(part)"
            scratch.makeFolder(folder)
        }
        scratch.write(text, to: path)
    }

    private func describe(_ path: String, processes: [Int32] = []) throws -> Container {
        let path = Self.insert(path)
        let group = ContainerGroup(path: path, facts: try #require(ContainerPath(path)))
        return RuntimeFiles(host: HostRoot(scratch.path)).describe(group, processes: processes)
    }

    @Test func aBundleOfContainerdTellsThePod() throws {
        write(
            """
            {"annotations":{"io.kubernetes.cri.container-type":"container","io.kubernetes.cri.container-name":"app",\
            "io.kubernetes.cri.sandbox-name":"web-6d4cf56db6-x7x2p","io.kubernetes.cri.sandbox-namespace":"shop",\
            "io.kubernetes.cri.image-name":"registry/web:1"},"process":{"env":["PATH=/bin","PASSWORD=secret"]}}
            """, to: "run/containerd/io.containerd.runtime.v2.task/k8s.io/\(Self.id)/config.json")
        write(
            "{\"init_process_pid\":4711,\"created\":\"2026-11-23T08:00:00.5Z\"}",
            to: "run/containerd/runc/k8s.io/\(Self.id)/state.json")
        let container = try describe("\(Self.slice)/cri-containerd-ID.scope", processes: [9])
        #expect(container.namespace == "shop")
        #expect(container.pod == "web-6d4cf56db6-x7x2p")
        #expect(container.containerName == "app")
        #expect(container.image == "registry/web:1")
        #expect(container.service == "shop/web/app")
        #expect(container.processIdentifier == 4711)
        #expect(container.startedNanoseconds == 1_795_420_800_500_000_000)
        #expect(!container.isSandbox)
        #expect(!container.labels.values.contains("secret"))
    }

    @Test func aSandboxIsThePodItself() throws {
        write(
            """
            {"annotations":{"io.kubernetes.cri.container-type":"sandbox","io.kubernetes.cri.sandbox-name":"db-0",\
            "io.kubernetes.cri.sandbox-namespace":"shop"}}
            """, to: "run/containerd/io.containerd.runtime.v2.task/k8s.io/\(Self.id)/config.json")
        let container = try describe("\(Self.slice)/cri-containerd-ID.scope")
        #expect(container.isSandbox)
        #expect(container.containerName.isEmpty)
        #expect(container.pod == "db-0")
    }

    @Test func kubernetesIsKnownByPathsAlone() throws {
        write("", to: "var/log/pods/shop_web-x7x2p_\(Self.uuid)/app/0.log")
        write("", to: "var/log/pods/other_x_22222222-5d0b-4c8e-9a59-2f1c1a9d5b11/y/0.log")
        let container = try describe("/kubepods/burstable/pod\(Self.uuid)/ID", processes: [77])
        #expect(container.namespace == "shop")
        #expect(container.pod == "web-x7x2p")
        #expect(container.containerName == "app")
        #expect(container.processIdentifier == 77)
        #expect(container.service == "shop/web/app")
    }

    @Test func podmanTellsNamesAlsoOfAUser() throws {
        write("me:x:1000:1000::/home/me:/bin/sh\n", to: "etc/passwd")
        let entry = """
            [{"id":"\(Self.id)","names":["shop"],"metadata":"{\\"image-name\\":\\"docker.io/library/redis:7\\"}"}]
            """
        write(entry, to: "home/me/.local/share/containers/storage/overlay-containers/containers.json")
        write("{\"pid\":5,\"created\":\"2026-11-23T08:00:00Z\"}", to: "run/user/1000/crun/\(Self.id)/status")
        let container = try describe("\(Self.rootless)/user.slice/libpod-ID.scope/container")
        #expect(container.name == "shop")
        #expect(container.image == "docker.io/library/redis:7")
        #expect(container.processIdentifier == 5)
        #expect(container.service == "shop")
    }

    @Test func marathonIsInTheEnvironmentAndNothingElseOfItIsKept() throws {
        write("MARATHON_APP_ID=/shop/web\u{0}MESOS_TASK_ID=shop_web.1\u{0}TOKEN=x\u{0}", to: "proc/31/environ")
        let container = try describe("/mesos/\(Self.uuid)", processes: [31])
        #expect(container.service == "/shop/web")
        #expect(container.labels.count == 2)
    }

    @Test func aServiceHasNoContainersLabels() throws {
        let unit = try describe("/system.slice/ssh.service")
        let labels = Dictionary(unit.seriesLabels(node: "n").map { ($0.name, $0.value) }) { first, _ in first }
        #expect(labels["id"] == "/system.slice/ssh.service")
        #expect(labels["container"] == "" && labels["name"] == "" && labels["image"] == "")
        #expect(labels["service"] == "ssh.service")
    }

    @Test(arguments: [
        ("web-6d4cf56db6-x7x2p", "web"), ("web-front-x7x2p", "web-front"), ("db-0", "db"), ("db-12", "db"),
        ("backup-28423680-x7x2p", "backup"), ("coredns-5d78c9869d-2k8xz", "coredns"), ("standalone", "standalone"),
        ("kube-proxy", "kube-proxy"), ("my-apple", "my-apple"), ("redis-2024", "redis"),
    ])
    func aPodsWorkloadIsStable(_ pod: String, _ workload: String) {
        #expect(PodName.workload(pod) == workload)
    }
}
