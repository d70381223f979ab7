internal import Glibc

/// Something that cannot be seen on this host, why, and what to do about it.
struct BlindSpot: Equatable, Sendable {
    var what: String
    var reason: String
    var remedy: String

    /// One clause for a message.
    var sentence: String { "\(what) (\(reason); \(remedy))" }
}

/// Finds out what the agent cannot see here. Asked at the start and at each status, so that a right that was given, or
/// an engine that came, is noticed.
struct BlindSpots {
    let host: HostRoot
    let layout: CgroupLayout
    /// The engine's socket.
    let engineSocket: String

    /// Everything that is missing, the worst first.
    func find() -> [BlindSpot] { cgroups() + processes() + kernel() + engine() }

    private func cgroups() -> [BlindSpot] {
        guard let searched = layout.searched else {
            return [
                BlindSpot(
                    what: "containers", reason: "no cgroup hierarchy is mounted",
                    remedy: "mount /sys/fs/cgroup of the host into the agent's container")
            ]
        }
        var spots: [BlindSpot] = []
        if searched.root != "/" {
            spots.append(
                BlindSpot(
                    what: "cgroups outside of \(searched.root)", reason: "only that part is mounted",
                    remedy: "mount the whole of /sys/fs/cgroup, or run with the host's cgroup namespace"))
        }
        if layout.controllers[.memory] == nil, !layout.unifiedControllers.contains("memory") {
            spots.append(
                BlindSpot(
                    what: "memory of containers", reason: "the memory controller is off",
                    remedy: "boot without cgroup_disable=memory"))
        }
        let pressure = layout.unified.flatMap { host.text("\($0.point)/cpu.pressure") }
        if pressure == nil {
            let isWhole = host.text("/proc/pressure/cpu") != nil
            spots.append(
                BlindSpot(
                    what: isWhole ? "pressure by container" : "pressure (PSI)",
                    reason: layout.unified == nil ? "cgroup v2 is not mounted" : "the kernel has it off",
                    remedy: isWhole ? "mount cgroup v2, also beside v1" : "boot with psi=1"))
        }
        return spots
    }

    private func processes() -> [BlindSpot] {
        guard host.isMachine else { return [] }
        var spots: [BlindSpot] = []
        if access("/proc/1/ns/net", F_OK) != 0 || readlinkFails("/proc/1/ns/net") {
            spots.append(
                BlindSpot(
                    what: "open files, sockets and network namespaces of other users' processes",
                    reason: errorText, remedy: "run as root or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"))
        }
        if !isHostNamespace {
            spots.append(
                BlindSpot(
                    what: "processes and networks of the host",
                    reason: "the agent has a process namespace of its own", remedy: "run it with --pid=host"))
        }
        let own = LinuxCalls.openProcess(getpid())
        if own < 0 {
            spots.append(
                BlindSpot(
                    what: "ends of main processes at once", reason: "the kernel has no pidfd (older than 5.3)",
                    remedy: "the engine's events and cgroups tell a moment later"))
        } else {
            close(own)
        }
        return spots
    }

    private func kernel() -> [BlindSpot] {
        guard host.isMachine else { return [] }
        var spots: [BlindSpot] = []
        let descriptor = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        if descriptor < 0 {
            spots.append(
                BlindSpot(
                    what: "the kernel's own records of OOM kills", reason: "/dev/kmsg: \(errorText)",
                    remedy: "run as root or with CAP_SYSLOG"))
        } else {
            close(descriptor)
        }
        if access("/proc/schedstat", R_OK) != 0 {
            spots.append(
                BlindSpot(
                    what: "run queues by processor", reason: "/proc/schedstat: \(errorText)",
                    remedy: "a kernel with CONFIG_SCHEDSTATS has them"))
        }
        return spots
    }

    private func engine() -> [BlindSpot] {
        guard host.isMachine, access(engineSocket, R_OK | W_OK) != 0 else { return [] }
        return [
            BlindSpot(
                what: "names, images and restarts of Docker's containers", reason: "\(engineSocket): \(errorText)",
                remedy: errno == EACCES ? "run as root or in the group docker" : "name its socket with --docker")
        ]
    }

    private var errorText: String { String(cString: strerror(errno)) }

    private func readlinkFails(_ path: String) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { raw in
            guard let base = raw.baseAddress else { return true }
            return readlink(path, base, raw.count) < 0
        }
    }

    /// In a process namespace of its own, an agent is among the first processes and the kernel's threads are missing.
    private var isHostNamespace: Bool {
        let second = host.text("/proc/2/status", limit: 4_096) ?? ""
        return second.contains("kthreadd") || host.text("/proc/1/status", limit: 4_096) == nil
    }
}
