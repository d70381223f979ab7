/// The size of the file system a container's root lies on, asked of the kernel (statfs), never found by walking files.
/// Slow lane.
///
/// `container_fs_usage_bytes` is there only where a quota limits the container: then the kernel answers with the quota
/// and what is used of it. Without one the numbers are those of the whole file system, which is what cAdvisor gives as
/// the limit, too.
final class ContainerFilesystemCollector: Collector {
    private static let metrics: [Metric] = [
        .gauge(
            "container_fs_limit_bytes", "Number of bytes that can be consumed by the container on this filesystem."),
        .gauge("container_fs_inodes_total", "Number of Inodes."),
        .gauge("container_fs_inodes_free", "Number of available Inodes."),
        .gauge("container_fs_usage_bytes", "Number of bytes that are consumed by the container on this filesystem."),
    ]

    private let context: CollectionContext
    private let root: String
    private let slots: [TargetSamples.Slot]
    /// Where the file system itself is mounted on the host.
    private let point: String

    init?(_ context: ContainerContext, _ samples: TargetSamples) {
        let process = context.mainProcess
        guard process > 0, let mount = Self.home(of: process, context.collection) else { return nil }
        self.context = context.collection
        root = "/proc/\(process)/root"
        point = mount.point
        slots = Self.metrics.map { samples.slot($0, ("device", mount.source)) }
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        guard let own = context.statistics(context.host.path(root)), own.sizeBytes > 0 else { return }
        samples.set(slots[0], own.sizeBytes)
        samples.set(slots[1], own.files)
        samples.set(slots[2], own.filesFree)
        guard let whole = context.statistics(context.host.path(point)), whole.sizeBytes != own.sizeBytes else { return }
        samples.set(slots[3], own.sizeBytes - min(own.sizeBytes, own.freeBytes))
    }

    /// The host's mount that a container's root file system is on: that of an overlay's upper folder, or its own.
    private static func home(of process: Int32, _ context: CollectionContext) -> Mount? {
        guard let text = context.host.text("/proc/\(process)/mountinfo", limit: 1 << 20),
            let root = MountTable.parse(text).last(where: { $0.point == "/" })
        else { return nil }
        let upper = root.superOptions.lazy.compactMap { option -> String? in
            option.hasPrefix("upperdir=") ? MountTable.unescaped(String(option.dropFirst("upperdir=".count))) : nil
        }.first
        let mounts = context.mounts
        guard let upper else {
            // No overlay: the container's root is a folder of a file system that the host has mounted somewhere.
            return mounts.first { $0.deviceNumber == root.deviceNumber && $0.root == "/" }
        }
        let above = mounts.filter { $0.point == "/" || upper == $0.point || upper.hasPrefix($0.point + "/") }
        return above.max { $0.point.utf8.count < $1.point.utf8.count }
    }
}
