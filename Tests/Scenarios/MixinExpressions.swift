internal import Foundation
internal import Glibc
internal import ScenarioSupport
internal import Testing

/// What dashboards and rules written for Kubernetes and for node_exporter ask: expressions of their kind, worded here,
/// must have answers. The pod is made by hand: cgroups, namespaces, a bundle as containerd writes it; no engine runs.
@Suite(.serialized) struct MixinExpressions {
    private static let id = String(repeating: "c0de", count: 16)
    private static let pause = String(repeating: "ba5e", count: 16)
    private static let pod = "5e5e5e5e-0000-4000-8000-000000000001"
    private static let roots: [String] = {
        let mounts = (try? String(contentsOfFile: "/proc/mounts", encoding: .utf8)) ?? ""
        return mounts.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count > 2, words[2].hasPrefix("cgroup") else { return nil }
            return String(words[1])
        }
    }()
    private static let reason: String? = {
        if geteuid() != 0 { return "cgroups are made by root" }
        if roots.isEmpty { return "no cgroup hierarchy is mounted" }
        return access(roots[0], W_OK) == 0 ? nil : "\(roots[0]) is not writable"
    }()

    /// Of a pod with limits that works, reads and writes.
    private static let pods = [
        "sum by (namespace, pod) (rate(container_cpu_usage_seconds_total{job=\"cadvisor\",image!=\"\"}[1m]))",
        "container_memory_working_set_bytes{job=\"cadvisor\",image!=\"\"}",
        "container_memory_rss{job=\"cadvisor\",image!=\"\"}", "container_memory_cache{job=\"cadvisor\",image!=\"\"}",
        "container_memory_swap{job=\"cadvisor\",image!=\"\"}", "container_memory_usage_bytes{container!=\"\"}",
        "sum by (container, pod, namespace) (increase(container_cpu_cfs_throttled_periods_total{container!=\"\"}[30s]))"
            + " / sum by (container, pod, namespace) (increase(container_cpu_cfs_periods_total[30s]))",
        "sum by (pod) (rate(container_network_receive_bytes_total{namespace=\"shop\"}[30s]))",
        "sum by (pod) (rate(container_network_transmit_packets_total{namespace=\"shop\"}[30s]))",
        "sum by (pod) (rate(container_network_receive_packets_dropped_total{namespace=\"shop\"}[30s]))",
        "rate(container_oom_events_total{pod=\"web-0\"}[30s])", "container_spec_memory_limit_bytes{pod=\"web-0\"} > 0",
        "container_spec_cpu_quota{pod=\"web-0\"} / container_spec_cpu_period",
        "container_start_time_seconds{pod!=\"\"}",
        "container_threads{pod=\"web-0\"}", "container_file_descriptors{pod=\"web-0\"}",
        "container_last_seen{pod=\"web-0\"}",
    ]

    /// Of a node.
    private static let nodes = [
        "1 - avg by (instance) (rate(node_cpu_seconds_total{job=\"node\",mode=\"idle\"}[30s]))",
        "sum by (instance) (node_load1) / count by (instance) (node_cpu_seconds_total{mode=\"idle\"})",
        "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
        "node_memory_MemTotal_bytes - node_memory_MemFree_bytes - node_memory_Buffers_bytes - node_memory_Cached_bytes"
            + " - node_memory_Slab_bytes",
        "rate(node_vmstat_pgmajfault[30s])", "rate(node_vmstat_oom_kill[30s])",
        "rate(node_disk_io_time_seconds_total{device!=\"\"}[30s])",
        "rate(node_disk_io_time_weighted_seconds_total[30s])", "rate(node_disk_read_bytes_total[30s])",
        "rate(node_disk_written_bytes_total[30s])",
        "node_filesystem_avail_bytes{fstype!=\"\",mountpoint!=\"\"} / node_filesystem_size_bytes * 100",
        "node_filesystem_files_free / node_filesystem_files", "node_filesystem_readonly == 0",
        "rate(node_network_receive_bytes_total[30s])", "rate(node_network_transmit_errs_total[30s])",
        "rate(node_network_receive_drop_total[30s])", "node_network_up", "node_filefd_allocated / node_filefd_maximum",
        "node_timex_sync_status", "node_timex_offset_seconds", "node_timex_maxerror_seconds", "node_uname_info",
        "node_time_seconds - node_boot_time_seconds", "rate(node_netstat_Tcp_RetransSegs[30s])",
        "rate(node_netstat_Tcp_OutSegs[30s])", "rate(node_netstat_TcpExt_TCPSynRetrans[30s])",
        "rate(node_context_switches_total[30s])", "node_textfile_scrape_error", "machine_memory_bytes",
    ]

    @Test(.enabled(if: reason == nil, "\(reason ?? "")")) func noneOfThemIsEmpty() async throws {
        let scratch = try ScratchFolder("mixin")
        defer { scratch.remove() }
        let bundles = try makeBundles()
        defer { for folder in bundles { try? FileManager.default.removeItem(atPath: folder) } }
        let script = try scratch.write("pod.sh", Self.script(scratch.file("data.bin")))
        let processes = try ChildProcess("bash", [script], logPath: scratch.file("pod.log"))
        defer { _ = try? ChildProcess.run("bash", ["-c", Self.removal]) }
        let vedette = try await VedetteProcess(
            dataFolder: scratch.file("data"), arguments: ["--docker", "unix:///none.sock"])
        await expectSoon("the pod is known by its bundle", seconds: 30, seen: { "\(processes.output.suffix(2_000))" }) {
            try await vedette.instant("container_memory_rss{container=\"app\",pod=\"web-0\"}").count == 1
        }
        for expression in Self.pods + Self.nodes {
            await expectSoon("there is an answer to \(expression)", seconds: 20) {
                try await !vedette.instant(expression).isEmpty
            }
        }
        // One pod, one network: in the sandbox, whose container has no name.
        let networks = try await vedette.instant("container_network_receive_bytes_total{pod=\"web-0\"}")
        #expect(networks.allSatisfy { $0.labels["container"] == nil && $0.labels["id"]?.contains(Self.pause) == true })
        #expect(Set(networks.map { $0.labels["interface"] }).count == networks.count)
        await processes.stop()
        await vedette.stop()
    }

    private func makeBundles() throws -> [String] {
        let kinds = [
            (
                Self.id, "container",
                "\"io.kubernetes.cri.container-name\":\"app\",\"io.kubernetes.cri.image-name\":\"web:1\","
            ),
            (Self.pause, "sandbox", ""),
        ]
        return try kinds.map { id, kind, more in
            let folder = "/run/containerd/io.containerd.runtime.v2.task/k8s.io/\(id)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let text = """
                {"annotations":{\(more)"io.kubernetes.cri.container-type":"\(kind)",\
                "io.kubernetes.cri.sandbox-name":"web-0","io.kubernetes.cri.sandbox-namespace":"shop"}}
                """
            try text.write(toFile: "\(folder)/config.json", atomically: true, encoding: .utf8)
            return folder
        }
    }

    /// Two groups of a pod in each hierarchy, a sleeper with a network of its own in one, and work in the other.
    private static func script(_ file: String) -> String {
        """
        set -u
        mapfile -t roots < <(awk '$3 == "cgroup" || $3 == "cgroup2" {print $2}' /proc/mounts)
        enter() {
          for root in "${roots[@]}"; do
            up=$root
            for part in kubepods burstable pod\(pod) "$1"; do
              if [ -w "$up/cgroup.subtree_control" ]; then
                for c in $(cat "$up/cgroup.controllers"); do echo "+$c" > "$up/cgroup.subtree_control" 2>/dev/null; done
              fi
              up=$up/$part
              mkdir -p "$up"
            done
            g=$up
            if [ "$1" = \(id) ]; then
              echo 20000 > $g/cpu.cfs_quota_us; echo 67108864 > $g/memory.limit_in_bytes
              echo '20000 100000' > $g/cpu.max; echo 67108864 > $g/memory.max
            fi 2>/dev/null
            echo ${2:-$BASHPID} > $g/cgroup.procs
          done
        }
        unshare -n sh -c 'ip tuntap add dev tap0 mode tap; exec sleep 600' &
        net=$!
        sleep 0.5
        enter \(pause) $net
        (enter \(id); exec nsenter -t $net -n sh -c 'while :; do
          dd if=/dev/zero of=\(file) bs=64k count=16 conv=fsync 2>/dev/null
          i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done
        done') &
        trap 'kill -9 $(jobs -p)' TERM
        wait
        """
    }

    private static let removal = """
        for root in $(awk '$3 == "cgroup" || $3 == "cgroup2" {print $2}' /proc/mounts); do
          top=$root/kubepods/burstable/pod\(pod)
          for g in $top/*/; do [ -f $g/cgroup.procs ] && while read p; do kill -9 $p; done < $g/cgroup.procs; done
        done
        sleep 0.3
        for root in $(awk '$3 == "cgroup" || $3 == "cgroup2" {print $2}' /proc/mounts); do
          top=$root/kubepods/burstable/pod\(pod)
          rmdir $top/*/ $top $root/kubepods/burstable $root/kubepods
        done 2>/dev/null
        """
}
