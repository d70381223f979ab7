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
