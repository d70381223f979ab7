/// Finds the cgroups that hold containers by walking the hierarchy that accounts memory.
struct CgroupScanner {
    let host: HostRoot
    let layout: CgroupLayout

    /// Bounds of a walk, far above what a host has.
    private static let depthMaximum = 10
    private static let foldersMaximum = 20_000

    /// What a walk found.
    struct Finding {
        var groups: [String: ContainerGroup] = [:]
        /// The folders in which groups of containers come and go: what is to be watched.
        var parents: [String] = []
        /// The groups above containers: the root, slices, pods, and whatever else has containers below it.
        var above: [String] {
            let holders = Set(groups.values.flatMap { Self.ancestors(of: $0.path) })
            return visited.filter { path in
                path == "/" || path.hasSuffix(".slice") || holders.contains(path)
                    || ContainerPath.pod(ofGroup: path) != nil
            }.prefix(Self.aboveMaximum).sorted()
        }
        /// All groups that are no containers, services or machines.
        fileprivate(set) var visited: [String] = []

        private static let aboveMaximum = 1_024

        private static func ancestors(of path: String) -> [String] {
            path.indices.filter { path[$0] == "/" && $0 > path.startIndex }.map { String(path[..<$0]) }
        }
    }

    /// Walks the hierarchy; empty where no cgroup hierarchy is mounted.
    func scan() -> Finding {
        var finding = Finding()
        guard let hierarchy = layout.searched else { return finding }
        var pending: [(group: String, depth: Int)] = [(hierarchy.root, 0)]
        var visited = 0
        while let (group, depth) = pending.popLast() {
            visited += 1
            guard visited < Self.foldersMaximum, let folder = hierarchy.folder(group) else { break }
            if let facts = ContainerPath(group) {
                let holdsChild = group.hasSuffix("/container")
                if finding.groups[facts.id] == nil || holdsChild {
                    finding.groups[facts.id] = ContainerGroup(path: group, facts: facts)
                }
                // What lives below a service may be containers of a runtime that runs in it, and Mesos nests them.
                if facts.runtime == .systemd || facts.runtime == .mesos {
                    if facts.runtime == .mesos { finding.parents.append(folder) }
                    if depth < Self.depthMaximum {
                        for name in host.folderNames(folder) ?? [] where !Self.isIgnored(name) {
                            pending.append(("\(group)/\(name)", depth + 1))
                        }
                    }
                    continue
                }
                // A container's own groups are its own business, but for the child group that crun makes.
                if host.folderNames(folder)?.contains("container") == true, !holdsChild, facts.runtime != .docker {
                    pending.append(("\(group)/container", depth + 1))
                }
                continue
            }
            finding.parents.append(folder)
            finding.visited.append(group)
            guard depth < Self.depthMaximum else { continue }
            for name in host.folderNames(folder) ?? [] where !Self.isIgnored(name) {
                pending.append((group == "/" ? "/\(name)" : "\(group)/\(name)", depth + 1))
            }
        }
        return finding
    }

    /// The first processes of a group, in the kernel's order.
    func processes(of group: ContainerGroup) -> [Int32] {
        guard let folder = layout.searched?.folder(group.path), let text = host.text("\(folder)/cgroup.procs") else {
            return []
        }
        return text.split(separator: "\n").prefix(16).compactMap { Int32($0) }.filter { $0 > 0 }
    }

    /// Groups that hold no container and come and go in great numbers.
    private static func isIgnored(_ name: String) -> Bool {
        name.hasSuffix(".mount") || name.hasSuffix(".swap") || name == "init.scope" || name.hasPrefix("run-")
            || name.contains("conmon-") || name.hasPrefix("lxc.monitor")
    }
}
