/// Where each cgroup controller of a host is mounted: v1 (split or joined), v2, or both at once. Found in mountinfo,
/// never assumed.
struct CgroupLayout: Sendable, Equatable {
    /// The v1 controllers the agent reads.
    enum Controller: String, Sendable, CaseIterable {
        case cpu
        case cpuacct
        case memory
        case pids
        case blkio
        case hugetlb
    }

    /// A mounted hierarchy. Groups are named by their path from the hierarchy's root.
    struct Hierarchy: Sendable, Equatable {
        var point: String
        /// The group that is mounted; "/" unless the agent lives in a container that sees only a part.
        var root: String

        /// The host path of `file` in `group`; nil when the group lies outside of what is mounted.
        func path(_ group: String, _ file: String) -> String? {
            guard let folder = folder(group) else { return nil }
            return "\(folder)/\(file)"
        }

        /// The host path of `group`'s folder; nil when the group lies outside of what is mounted.
        func folder(_ group: String) -> String? {
            if root == "/" { return group == "/" ? point : point + group }
            if group == root { return point }
            return group.hasPrefix(root + "/") ? point + group.dropFirst(root.count) : nil
        }
    }

    /// The v1 hierarchies by controller; several controllers may share one.
    var controllers: [Controller: Hierarchy]
    /// The v2 hierarchy, alone or beside v1 ones (hybrid).
    var unified: Hierarchy?
    /// The controllers enabled at the root of the v2 hierarchy.
    var unifiedControllers: Set<String>

    /// The layout that a host's mount table tells.
    init(of host: HostRoot) {
        controllers = [:]
        unified = nil
        unifiedControllers = []
        for mount in MountTable.parse(host.text("/proc/self/mountinfo", limit: 8 << 20) ?? "") {
            let hierarchy = Hierarchy(point: mount.point, root: mount.root)
            switch mount.fileSystem {
            case "cgroup2" where unified == nil:
                unified = hierarchy
            case "cgroup":
                for option in mount.superOptions {
                    guard let controller = Controller(rawValue: option), controllers[controller] == nil else {
                        continue
                    }
                    controllers[controller] = hierarchy
                }
            default: continue
            }
        }
        guard let unified else { return }
        let text = host.text("\(unified.point)/cgroup.controllers") ?? ""
        unifiedControllers = Set(text.split { $0 == " " || $0 == "\n" }.map(String.init))
    }

    /// The v1 hierarchy of `controller`; nil when it is not mounted, for example because v2 has it.
    func legacy(_ controller: Controller) -> Hierarchy? { controllers[controller] }

    /// Each mounted hierarchy once; controllers that share one count once.
    var hierarchies: [Hierarchy] {
        var seen: Set<String> = []
        return (controllers.values + [unified].compactMap(\.self)).filter { seen.insert($0.point).inserted }
    }

    /// The hierarchy in which containers are looked for: the one that accounts memory, else any.
    var searched: Hierarchy? {
        if let memory = controllers[.memory] { return memory }
        if let unified, unifiedControllers.contains("memory") || controllers.isEmpty { return unified }
        return controllers[.cpuacct] ?? controllers[.cpu] ?? controllers[.pids] ?? unified
    }

    /// For people: "v2", "v1", "v1 with v2 beside it" or "none".
    var summary: String {
        if controllers.isEmpty { return unified == nil ? "none" : "v2" }
        return unified == nil ? "v1" : "v1 with v2 beside it (hybrid)"
    }
}
