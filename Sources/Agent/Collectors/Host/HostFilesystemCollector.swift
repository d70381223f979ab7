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

/// The host's file systems under node_exporter's names, with its default excludes. Slow lane.
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
    private static let failed = Metric.gauge(
        "node_filesystem_device_error", "Whether an error occurred while getting statistics for the given device.")
    private static let information = Metric.gauge("node_filesystem_mount_info", "Filesystem mount information.")
    private static let ignoredKinds: Set<String> = [
        "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
        "erofs", "fusectl", "hugetlbfs", "iso9660", "mqueue", "nsfs", "overlay", "proc", "procfs", "pstore",
        "rpc_pipefs",
        "securityfs", "selinuxfs", "squashfs", "sysfs", "tracefs",
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "afs", "ncpfs",
    ]
    /// These and everything below them.
    private static let ignoredTrees = ["/dev", "/proc", "/sys"]
    /// Everything below these.
    private static let ignoredBelow = ["/run/credentials", "/var/lib/docker", "/var/lib/containers/storage"]
    private static let filesystemsMaximum = 256

    private let context: CollectionContext

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        self.context = context
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        var seen: Set<String> = []
        for mount in context.mounts where !Self.isIgnored(mount) && seen.count < Self.filesystemsMaximum {
            guard seen.insert("\(mount.source) \(mount.fileSystem) \(mount.point)").inserted else { continue }
            let labels = [("device", mount.source), ("fstype", mount.fileSystem), ("mountpoint", mount.point)]
            let statistics = context.statistics(context.host.path(mount.point))
            samples.set(samples.slot(Self.failed, labels), statistics == nil ? 1 : 0 as Double)
            let number = mount.deviceNumber.split(separator: ":").map(String.init)
            let place = [
                ("device", mount.source), ("major", number.first ?? ""), ("minor", number.last ?? ""),
                ("mountpoint", mount.point),
            ]
            samples.set(samples.slot(Self.information, place), 1 as Double)
            guard let statistics else { continue }
            let readOnly = ["ro", "emergency_ro"].contains {
                mount.options.contains($0) || mount.superOptions.contains($0)
            }
            let values = [
                statistics.sizeBytes, statistics.freeBytes, statistics.availableBytes, statistics.files,
                statistics.filesFree, readOnly ? 1 : 0,
            ]
            for (metric, value) in zip(Self.metrics, values) { samples.set(samples.slot(metric, labels), value) }
        }
    }

    private static func isIgnored(_ mount: Mount) -> Bool {
        if ignoredKinds.contains(mount.fileSystem) || mount.fileSystem.hasPrefix("fuse.") { return true }
        return ignoredTrees.contains { mount.point == $0 || mount.point.hasPrefix($0 + "/") }
            || ignoredBelow.contains { mount.point.hasPrefix($0 + "/") }
    }
}
