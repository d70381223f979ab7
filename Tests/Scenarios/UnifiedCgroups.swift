internal import Foundation
internal import ScenarioSupport
internal import Testing

/// cgroup v2 as a real kernel has it: a user-mode guest with nothing but the unified hierarchy, a container's group in
/// it, and the agent beside it. Its numbers are the kernel's own files, read by a shell at the same time.
@Suite(.serialized) struct UnifiedCgroups {
    private static let id = String(repeating: "2a", count: 32)

    @Test(.enabled(if: UserModeGuest.reasonForAbsence == nil, "\(UserModeGuest.reasonForAbsence ?? "")"))
    func metricsAreWhatTheKernelsFilesSay() async throws {
        let guest = try UserModeGuest()
        defer { guest.remove() }
        let console = try await guest.play(UnifiedCgroups.script, seconds: 240)
        let files = Files(console)
        for controller in ["cpu", "io", "memory", "pids"] {
            #expect(files.text["cgroup.controllers"]?.contains(controller) == true, "\(console.prefix(2_000))")
        }
        let series = try samples("metrics", in: console)
        let wanted = expectation(files)
        for (name, number) in wanted {
            #expect(series[name] == number, "\(name)\n\(console.suffix(6_000))")
        }
        // What was compared was not nothing.
        #expect(wanted.filter { $0.value ?? 0 > 0 }.count >= 20, "\(wanted)")
        #expect(series["container_oom_events_total"] == 0)

        // The kernel kills, and tells.
        #expect(files.field("after.memory.events", "oom_kill") == 1, "\(console.suffix(3_000))")
        let after = try samples("after", in: console)
        #expect(after["container_oom_events_total"] == 1, "\(console.suffix(3_000))")
        #expect(console.contains("ran out of its memory limit and was OOM-killed"), "\(console.suffix(3_000))")
    }

    /// What the metrics must be, by the kernel's files.
    private func expectation(_ files: Files) -> [String: Double?] {
        let seconds = { (name: String) in files.field("cpu.stat", name).map { $0 / 1e6 } }
        let inactive = files.field("memory.stat", "inactive_file") ?? .nan
        let written = "io.stat"
        return [
            "container_cpu_usage_seconds_total": seconds("usage_usec"),
            "container_cpu_user_seconds_total": seconds("user_usec"),
            "container_cpu_system_seconds_total": seconds("system_usec"),
            "container_cpu_cfs_periods_total": files.field("cpu.stat", "nr_periods"),
            "container_cpu_cfs_throttled_periods_total": files.field("cpu.stat", "nr_throttled"),
            "container_cpu_cfs_throttled_seconds_total": seconds("throttled_usec"),
            "container_spec_cpu_quota": 20_000,
            "container_spec_cpu_period": 100_000,
            "container_memory_usage_bytes": files.number("memory.current"),
            "container_memory_working_set_bytes": files.number("memory.current").map { $0 - inactive },
            "container_memory_rss": files.field("memory.stat", "anon"),
            "container_memory_cache": files.field("memory.stat", "file"),
            "container_memory_mapped_file": files.field("memory.stat", "file_mapped"),
            "container_memory_total_inactive_file_bytes": inactive,
            "container_memory_total_active_file_bytes": files.field("memory.stat", "active_file"),
            "container_memory_max_usage_bytes": files.number("memory.peak"),
            "container_memory_failcnt": files.field("memory.events", "max"),
            "container_memory_swap": files.number("memory.swap.current"),
            "container_spec_memory_limit_bytes": files.number("memory.max"),
            "container_spec_memory_reservation_limit_bytes": files.number("memory.min"),
            "container_threads": files.number("pids.current"),
            "container_threads_max": files.number("pids.max"),
            "container_processes": files.number("processes"),
            "container_fs_writes_bytes_total": files.field(written, "wbytes"),
            "container_fs_writes_total": files.field(written, "wios"),
            "container_fs_reads_bytes_total": files.field(written, "rbytes"),
            "container_fs_reads_total": files.field(written, "rios"),
        ]
    }

    /// The container's samples in the line of the console that begins with `word`, by metric name.
    private func samples(_ word: String, in console: String) throws -> [String: Double] {
        let line = try #require(
            console.split(whereSeparator: \.isNewline).first { $0.hasPrefix("\(word) {") }, "\(console.suffix(3_000))")
        let answer = try JSONTree(String(line.dropFirst(word.count + 1)))
        var samples: [String: Double] = [:]
        for element in answer["data"]["result"].array {
            samples[element["metric"]["__name__"].string] = Double(element["value"][1].string)
        }
        return samples
    }

    /// The files of the group as the shell printed them: "file NAME CONTENT", lines joined by semicolons.
    private struct Files {
        var text: [String: String] = [:]

        init(_ console: String) {
            for line in console.split(whereSeparator: \.isNewline) where line.hasPrefix("file ") {
                let parts = line.split(separator: " ", maxSplits: 2).map(String.init)
                text[parts[1]] = parts.count > 2 ? parts[2] : ""
            }
        }

        func number(_ file: String) -> Double? {
            text[file].flatMap { Double($0.trimmingCharacters(in: CharacterSet(charactersIn: "; "))) }
        }

        /// "name 7" and, in io.stat, "name=7".
        func field(_ file: String, _ name: String) -> Double? {
            let words = (text[file] ?? "").split(whereSeparator: { ";= ".contains($0) })
            guard let index = words.firstIndex(where: { $0 == name }), index + 1 < words.count else { return nil }
            return Double(words[index + 1])
        }
    }

    private static let script = """
        root=/sys/fs/cgroup; g=$root/docker/\(id)
        ask() { wget -qO- 'http://127.0.0.1:9797/api/v1/query?query=%7Bid%3D%22%2Fdocker%2F\(id)%22%7D'; echo; }
        show() { echo "file $1$2 $(tr '\\n' ';' < $g/$2)"; }
        echo "file cgroup.controllers $(cat $root/cgroup.controllers)"
        mkdir $root/docker
        for c in $(cat $root/cgroup.controllers); do
          echo +$c > $root/cgroup.subtree_control; echo +$c > $root/docker/cgroup.subtree_control
        done
        mkdir $g; cd $g
        echo 67108864 > memory.max; echo 0 > memory.swap.max; echo 4194304 > memory.min
        echo '20000 100000' > cpu.max; echo 20 > pids.max
        vedette up --data /tmp/v --listen 127.0.0.1:9797 --docker unix:///none.sock --node guest > /tmp/log 2>&1 &
        sh -c "echo \\$\\$ > $g/cgroup.procs
          dd if=/dev/zero of=/data/f bs=64k count=200 conv=fsync; echo 1 > /proc/sys/vm/drop_caches
          dd if=/data/f of=/dev/null bs=64k; timeout 2 sh -c 'while :; do :; done'
          sleep 1000 & sleep 1000 & wait" > /dev/null 2>&1 &
        while [ $(wc -l < cgroup.procs) != 3 ]; do sleep 1; done
        same=0; last=
        while [ $same -lt 10 ]; do
          sleep 1; now=$(cat cpu.stat memory.stat memory.current)
          if [ "$now" = "$last" ] && ask | grep -q container_threads; then same=$((same+1)); else same=0; fi; last=$now
        done
        echo "metrics $(ask)"
        for f in cpu.stat io.stat memory.current memory.peak memory.stat memory.events memory.swap.current memory.max \\
          memory.min pids.current pids.max; do show '' $f; done
        echo "file processes $(wc -l < cgroup.procs)"
        sh -c "echo \\$\\$ > $g/cgroup.procs; x=a; while :; do x=\\$x\\$x; done" > /dev/null 2>&1
        for i in $(seq 60); do
          ask | grep -o 'container_oom_events_total"[^]]*' | grep -q '"1"' && break; sleep 0.5
        done
        show after. memory.events
        echo "after $(ask)"
        wget -qO- 'http://127.0.0.1:9797/loki/api/v1/query_range?query=%7Bsource%3D%22vedette%22%7D'; echo
        """
}
