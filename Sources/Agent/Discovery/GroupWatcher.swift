internal import Telemetry

/// Notices cgroups of containers as they come and go: by the kernel's notices where it gives them, and by looking every
/// few seconds anyway. Belongs to the collection thread.
final class GroupWatcher {
    private let scanner: CgroupScanner
    private let files: RuntimeFiles
    /// What was found out about groups, and how often that was tried.
    private var described: [String: (group: ContainerGroup, tries: Int)] = [:]
    private let registry: ContainerRegistry
    private let clock: any MonotonicClock
    private let inotify: Inotify?
    /// The groups above containers, and how often that list changed.
    private(set) var above: (paths: [String], generation: UInt64) = ([], 0)
    private var watched: [String: Int32] = [:]
    private var needsScan = true
    private var lastScan: Int64 = 0

    /// Groups may be missed by the notices; a walk of the tree costs little.
    private static let scanEveryNanoseconds: Int64 = 5_000_000_000
    private static let watchesMaximum = 1_024
    /// A runtime writes its files about the time it makes the group; a log folder may come later.
    private static let triesMaximum = 4
    private static let goneMaximum = 256

    /// What was known of containers whose group is gone: their ends may be told later than that.
    private(set) var gone: [String: Container] = [:]

    /// A watcher that tells `registry`.
    init(host: HostRoot, layout: CgroupLayout, registry: ContainerRegistry, clock: any MonotonicClock) {
        scanner = CgroupScanner(host: host, layout: layout)
        files = RuntimeFiles(host: host)
        self.registry = registry
        self.clock = clock
        inotify = host.isMachine ? Inotify() : nil
    }

    /// Becomes readable when a group came or went; -1 where there are no notices.
    var descriptor: Int32 { inotify?.descriptor ?? -1 }

    /// Takes in the kernel's notices.
    func drain() {
        inotify?.drain { _, _ in needsScan = true }
    }

    /// Walks the hierarchy if something changed or time has come.
    func scanIfDue() {
        let now = clock.nowNanoseconds
        guard needsScan || now - lastScan >= Self.scanEveryNanoseconds else { return }
        needsScan = false
        lastScan = now
        let finding = scanner.scan()
        watch(finding.parents)
        let paths = finding.above
        if paths != above.paths { above = (paths, above.generation + 1) }
        registry.setGroups(describe(finding.groups), atNanoseconds: now)
    }

    /// Adds what the runtimes' files say, which is read once, or a few times where it does not say enough.
    private func describe(_ groups: [String: ContainerGroup]) -> [String: ContainerGroup] {
        var next: [String: (group: ContainerGroup, tries: Int)] = [:]
        for (id, group) in groups {
            var known = (group: group, tries: 0)
            if let before = described[id], before.group.path == group.path { known = before }
            let isWhole = known.group.container.map { Self.isWhole($0) } ?? false
            if !isWhole, known.tries < Self.triesMaximum {
                known.group.container = files.describe(group, processes: scanner.processes(of: group))
                known.tries += 1
            }
            next[id] = known
        }
        for (id, known) in described where next[id] == nil {
            if gone.count >= Self.goneMaximum { gone.removeAll() }
            gone[id] = known.group.container
        }
        described = next
        return next.mapValues(\.group)
    }

    private static func isWhole(_ container: Container) -> Bool {
        switch container.runtime {
        case .systemd, .machine, .lxc, .rkt, .mesos: true
        // The engine tells of its own.
        case .docker: true
        case .podman, .nerdctl: container.processIdentifier > 0 && container.name != container.id.prefix(12)
        case .containerd, .crio: container.processIdentifier > 0 && (container.podUID == nil || container.pod != nil)
        }
    }

    private func watch(_ parents: [String]) {
        guard let inotify else { return }
        let current = Set(parents)
        for (path, watch) in watched where !current.contains(path) {
            inotify.remove(watch)
            watched[path] = nil
        }
        for path in parents where watched[path] == nil && watched.count < Self.watchesMaximum {
            guard let watch = inotify.watch(scanner.host.path(path), [.created, .deleted]) else { continue }
            watched[path] = watch
            // What was made between the walk and the watch is found by walking again.
            needsScan = true
        }
    }
}
