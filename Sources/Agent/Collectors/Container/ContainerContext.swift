internal import Glibc

/// What a container's collectors are made from: its identity and where its cgroup files are.
struct ContainerContext {
    let container: Container
    /// The cgroup's path from the root of its hierarchy; nil when the container is not running.
    let group: String?
    let collection: CollectionContext

    /// A container seen through `collection`.
    init(container: Container, collection: CollectionContext) {
        self.container = container
        group = container.isRunning ? container.cgroup : nil
        self.collection = collection
    }

    /// The group `path` above containers.
    init(parent path: String, collection: CollectionContext) {
        var container = Container(id: path)
        container.cgroup = path
        container.isRunning = true
        self.init(container: container, collection: collection)
    }

    /// A process of the container: its main one where that is known, else the first of its cgroup; 0 for none.
    var mainProcess: Int32 {
        guard group != nil else { return 0 }
        if container.processIdentifier > 0 { return container.processIdentifier }
        // Beside v1 hierarchies the v2 one may have the group and not its processes.
        let members = [unified("cgroup.procs"), legacy(.memory, "cgroup.procs"), legacy(.pids, "cgroup.procs")]
        return members.lazy.compactMap { file in
            file.flatMap { collection.identifiers($0, maximum: 1).first }
        }.first ?? 0
    }

    /// In how many hierarchies the container's group is.
    var groupCount: Int {
        guard let group else { return 0 }
        return collection.layout.hierarchies.count { hierarchy in
            hierarchy.folder(group).map { access(collection.host.path($0), F_OK) == 0 } ?? false
        }
    }

    /// When the container's cgroup was made, in whole seconds; nil when it is not running.
    var groupCreatedSeconds: Double? {
        guard let group, let hierarchy = collection.layout.searched, let folder = hierarchy.folder(group) else {
            return nil
        }
        // A folder's time moves on when a group is made or removed in it, that of its files does not.
        let times = [folder, "\(folder)/cgroup.procs"].compactMap {
            collection.modifiedSeconds(collection.host.path($0))
        }
        return times.min().map { Double($0) }
    }

    /// Opens a file of the container's v1 group of `controller`; nil where v1 does not have it.
    func legacy(_ controller: CgroupLayout.Controller, _ name: String) -> KernelFile? {
        guard let group, let path = collection.layout.legacy(controller)?.path(group, name) else { return nil }
        return collection.open(path)
    }

    /// Opens a file of the container's v2 group; nil where it is not there.
    func unified(_ name: String) -> KernelFile? {
        guard let group, let path = collection.layout.unified?.path(group, name) else { return nil }
        return collection.open(path)
    }
}

/// Times of files.
enum FileTime {
    /// When a file was changed last, in nanoseconds since 1970; nil when it is not there.
    static func modifiedNanoseconds(_ path: String) -> Int? {
        var answer = stat()
        return stat(path, &answer) == 0 ? Int(answer.st_mtim.tv_sec) &* 1_000_000_000 &+ answer.st_mtim.tv_nsec : nil
    }

    /// When a file was changed last, in seconds since 1970; nil when it is not there.
    static func modifiedSeconds(_ path: String) -> Int? {
        var answer = stat()
        return stat(path, &answer) == 0 ? Int(answer.st_mtim.tv_sec) : nil
    }
}
