import Glibc
import Telemetry
import Testing

@testable import Agent

/// The cgroups above containers, in trees of v1 and v2 made by hand.
@Suite struct ParentGroupTests {
    private static let id = String(repeating: "ab01", count: 16)
    private static let uid = "0d6f1d3e-5d0b-4c8e-9a59-2f1c1a9d5b11"
    private static let slices =
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0d6f1d3e_5d0b_4c8e_9a59_2f1c1a9d5b11.slice"

    private static let memory = """
        MemTotal:        8000000 kB
        MemFree:         1000000 kB
        Buffers:          100000 kB
        Cached:          2000000 kB
        SwapCached:            0 kB
        Inactive(file):   500000 kB
        Active(file):    1500000 kB
        AnonPages:       3000000 kB
        Mapped:           400000 kB

        """

    private func tree(_ files: [String: String]) -> ScratchFolder {
        let scratch = ScratchFolder()
        for (path, text) in files {
            var folder = ""
            for part in path.split(separator: "/").dropLast() {
                folder += folder.isEmpty ? "\(part)" : "/\(part)"
                scratch.makeFolder(folder)
            }
            scratch.write(text, to: path)
        }
        return scratch
    }

    private func unified() -> ScratchFolder {
        let group = "sys/fs/cgroup\(Self.slices)"
        return tree([
            "proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
            "proc/meminfo": Self.memory,
            "sys/fs/cgroup/cgroup.controllers": "cpu io memory pids\n",
            "sys/fs/cgroup/cpu.stat": "usage_usec 9000000\nuser_usec 5000000\nsystem_usec 4000000\n",
            "sys/fs/cgroup/user.slice/session-1.scope/cgroup.procs": "1\n",
            "sys/fs/cgroup/dev.mount/cgroup.procs": "",
            "\(group)/cpu.stat": "usage_usec 2000000\nuser_usec 1500000\nsystem_usec 500000\n",
            "\(group)/cpu.max": "50000 100000\n", "\(group)/memory.current": "1000000\n",
            "\(group)/memory.max": "max\n", "\(group)/memory.stat": "anon 400000\nfile 500000\ninactive_file 300000\n",
            "\(group)/cri-containerd-\(Self.id).scope/memory.current": "900000\n",
        ])
    }

    private func legacy() -> ScratchFolder {
        let (cpu, memory) = ("sys/fs/cgroup/cpuacct/docker", "sys/fs/cgroup/memory/docker")
        return tree([
            "proc/self/mountinfo": """
            31 23 0:27 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct
            32 23 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory

            """, "proc/meminfo": Self.memory,
            "sys/fs/cgroup/cpuacct/cpuacct.usage": "7000000000\n", "\(cpu)/cpuacct.usage": "3000000000\n",
            "\(memory)/memory.usage_in_bytes": "5000000\n", "\(memory)/memory.limit_in_bytes": "9223372036854771712\n",
            "\(memory)/memory.stat": "total_rss 1000000\ntotal_inactive_file 2000000\n",
            "\(memory)/\(Self.id)/memory.usage_in_bytes": "4000000\n",
            "sys/fs/cgroup/memory/other/memory.usage_in_bytes": "1\n",
        ])
    }

    /// The groups of a tree, and the samples of one reading.
    private func read(_ scratch: ScratchFolder, _ containers: [Container] = []) -> (paths: [String], text: [String]) {
        let host = HostRoot(scratch.path)
        let layout = CgroupLayout(of: host)
        let context = CollectionContext(
            host: host, layout: layout, node: "n", notices: Fixture.quiet, counters: EventCounters())
        let paths = CgroupScanner(host: host, layout: layout).scan().above
        let parents = ParentGroups(context, intervalMilliseconds: 1_000)
        var snapshot = ContainerRegistry.Snapshot()
        for container in containers { snapshot.containers[container.id] = container }
        #expect(parents.follow(paths, generation: 1, snapshot, milliseconds: 1).isEmpty)
        let groups = parents.collect(Tick(nanoseconds: 1_000_000_000, number: 0))
        #expect(parents.collect(Tick(nanoseconds: 2_000_000_000, number: 0)).isEmpty)
        let ended = parents.follow([], generation: 2, snapshot, milliseconds: 2)
        #expect(ended.count == groups.count)
        return (paths, Fixture.text(groups))
    }

    @Test func podsAndSlicesOfTheUnifiedHierarchyAreShown() {
        var container = Container(id: Self.id)
        container.podUID = Self.uid
        container.labels = ["io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.name": "web-0"]
        let (paths, text) = read(unified(), [container])
        #expect(
            paths == ["/", "/kubepods.slice", "/kubepods.slice/kubepods-burstable.slice", Self.slices, "/user.slice"])
        let pod = "id=\"\(Self.slices)\""
        let names = "namespace=\"shop\", node=\"n\", pod=\"web-0\""
        #expect(
            text.contains {
                $0 == "container_memory_working_set_bytes{\(pod), instance=\"n\", job=\"cadvisor\", \(names)} 700000.0"
            })
        #expect(
            text.contains {
                $0.hasPrefix("container_cpu_usage_seconds_total{cpu=\"total\", \(pod)") && $0.hasSuffix("} 2.0")
            })
        #expect(text.contains { $0.hasPrefix("container_spec_cpu_quota{\(pod)") && $0.hasSuffix("} 50000.0") })
        // Nothing of them looks like a container.
        #expect(!text.contains { $0.contains("container=\"") || $0.contains("image=\"") || $0.contains(" name=\"") })
        // The root: its time by its own file, its memory by the host's.
        #expect(
            text.contains {
                $0.hasPrefix("container_cpu_usage_seconds_total{cpu=\"total\", id=\"/\"") && $0.hasSuffix("} 9.0")
            })
        #expect(
            text.contains {
                $0.hasPrefix("container_memory_usage_bytes{id=\"/\"") && $0.hasSuffix("} \(Double(5_100_000 * 1_024))")
            })
        #expect(
            text.contains {
                $0.hasPrefix("container_memory_working_set_bytes{id=\"/\"")
                    && $0.hasSuffix("} \(Double(4_600_000 * 1_024))")
            })
    }

    @Test func foldersOfTheOldHierarchiesAreShownWhereContainersAreBelowThem() {
        let (paths, text) = read(legacy())
        #expect(paths == ["/", "/docker"])
        #expect(
            text.contains {
                $0.hasPrefix("container_memory_working_set_bytes{id=\"/docker\"") && $0.hasSuffix("} 3000000.0")
            })
        #expect(
            text.contains {
                $0.hasPrefix("container_cpu_usage_seconds_total{cpu=\"total\", id=\"/docker\"") && $0.hasSuffix("} 3.0")
            })
        #expect(
            text.contains {
                $0.hasPrefix("container_memory_rss{id=\"/\"") && $0.hasSuffix("} \(Double(3_000_000 * 1_024))")
            })
    }
}
