internal import Glibc

/// The sizes of a mounted file system.
struct FilesystemStatistics: Sendable, Equatable {
    var sizeBytes: UInt64
    var freeBytes: UInt64
    var availableBytes: UInt64
    var files: UInt64
    var filesFree: UInt64

    /// Sizes.
    init(sizeBytes: UInt64, freeBytes: UInt64, availableBytes: UInt64, files: UInt64, filesFree: UInt64) {
        self.sizeBytes = sizeBytes
        self.freeBytes = freeBytes
        self.availableBytes = availableBytes
        self.files = files
        self.filesFree = filesFree
    }

    /// What the system says (statvfs); nil when it cannot be asked.
    static func ofSystem(_ path: String) -> FilesystemStatistics? {
        var answer = statvfs()
        guard statvfs(path, &answer) == 0 else { return nil }
        let unit = UInt64(answer.f_frsize)
        return FilesystemStatistics(
            sizeBytes: UInt64(answer.f_blocks) * unit, freeBytes: UInt64(answer.f_bfree) * unit,
            availableBytes: UInt64(answer.f_bavail) * unit, files: UInt64(answer.f_files),
            filesFree: UInt64(answer.f_ffree))
    }
}

/// The host's file systems under node_exporter's names, read at the slow ticks only.
///
/// Network file systems are left out: asking a dead server for its sizes would stop the collection thread.
final class HostFilesystemCollector: Collector {
    private static let metrics: [Metric] = [
        .gauge("node_filesystem_size_bytes", "Filesystem size in bytes."),
        .gauge("node_filesystem_free_bytes", "Filesystem free space in bytes."),
        .gauge("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes."),
        .gauge("node_filesystem_files", "Filesystem total file nodes."),
        .gauge("node_filesystem_files_free", "Filesystem total free file nodes."),
        .gauge("node_filesystem_readonly", "Filesystem read-only status."),
    ]
    private static let ignoredKinds: Set<String> = [
        "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
        "fusectl", "hugetlbfs", "iso9660", "mqueue", "nsfs", "overlay", "proc", "procfs", "pstore", "rpc_pipefs",
        "securityfs", "selinuxfs", "squashfs", "sysfs", "tracefs",
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "afs", "ncpfs",
    ]
    private static let ignoredPoints = [
        "/dev", "/proc", "/run/credentials", "/sys", "/var/lib/docker", "/var/lib/containers/storage",
        "/var/lib/kubelet/pods",
    ]

    private let context: CollectionContext
    private var filesystems: [String: [TargetSamples.Slot]] = [:]
    private var last: [(slots: [TargetSamples.Slot], statistics: FilesystemStatistics, isReadOnly: Bool)] = []

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        self.context = context
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        if tick.isSlow { last = read(samples) }
        for (slots, statistics, isReadOnly) in last {
            let values = [
                statistics.sizeBytes, statistics.freeBytes, statistics.availableBytes, statistics.files,
                statistics.filesFree, isReadOnly ? 1 : 0,
            ]
            for (slot, value) in zip(slots, values) { samples.set(slot, value) }
        }
    }

    private func read(
        _ samples: TargetSamples
    ) -> [(slots: [TargetSamples.Slot], statistics: FilesystemStatistics, isReadOnly: Bool)] {
        var seen: Set<String> = []
        let text =
            context.host.text("/proc/1/mountinfo", limit: 8 << 20)
            ?? context.host.text("/proc/self/mountinfo", limit: 8 << 20)
        return MountTable.parse(text ?? "").compactMap { mount in
            guard !Self.isIgnored(mount), seen.insert("\(mount.source) \(mount.point)").inserted,
                let statistics = context.statistics(context.host.path(mount.point)), statistics.sizeBytes > 0,
                let slots = slots(mount, samples)
            else { return nil }
            return (slots, statistics, mount.options.contains("ro") || mount.superOptions.contains("ro"))
        }
    }

    private func slots(_ mount: Mount, _ samples: TargetSamples) -> [TargetSamples.Slot]? {
        let key = "\(mount.source) \(mount.fileSystem) \(mount.point)"
        if let known = filesystems[key] { return known }
        guard filesystems.count < 256 else { return nil }
        let slots = Self.metrics.map {
            samples.slot(
                $0, ("device", mount.source), ("fstype", mount.fileSystem), ("mountpoint", mount.point))
        }
        filesystems[key] = slots
        return slots
    }

    private static func isIgnored(_ mount: Mount) -> Bool {
        if ignoredKinds.contains(mount.fileSystem) || mount.fileSystem.hasPrefix("fuse") { return true }
        return ignoredPoints.contains { mount.point == $0 || mount.point.hasPrefix($0 + "/") }
    }
}
