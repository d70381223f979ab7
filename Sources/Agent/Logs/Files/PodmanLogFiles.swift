internal import Telemetry

/// The logs that conmon writes for Podman's containers (`k8s-file`), found in Podman's store without asking it:
/// `overlay-containers/<id>/userdata/ctr.log`, names in `overlay-containers/containers.json`. Conmon rotates by writing
/// a new file over the old name, so that only an open descriptor still has the end of the old one.
final class PodmanLogFiles: FileLogSource {
    private let context: FileLogContext
    private(set) var folders: [String] = []

    init?(_ context: FileLogContext) {
        self.context = context
    }

    func logs(_ snapshot: ContainerRegistry.Snapshot) -> [FollowedLog] {
        folders = context.settings.podmanFolders.map { context.host.path("\($0)/overlay-containers") }
        return context.settings.podmanFolders.flatMap { logs(in: "\($0)/overlay-containers", snapshot) }
    }

    private func logs(in folder: String, _ snapshot: ContainerRegistry.Snapshot) -> [FollowedLog] {
        let host = context.host
        let ids = (host.folderNames(folder) ?? []).filter { ContainerPath.identifier(in: $0) == $0 }
        guard !ids.isEmpty else { return [] }
        let names = names(in: folder)
        return ids.compactMap { id in
            let known = snapshot.containers[id]
            guard known?.logPath == nil else { return nil }
            var container = known ?? Container(id: id)
            // Known by its cgroup alone, it is named by its id.
            if let name = names[id], known == nil || container.image.isEmpty {
                container.name = name.name
                container.image = name.image
            }
            let path = host.path("\(folder)/\(id)/userdata/ctr.log")
            return FollowedLog(
                key: id, path: path, format: CRIFormat(),
                labels: LogStream.allCases.map {
                    container.streamLabels(node: context.node, stream: $0.label, source: "podman")
                },
                writer: id, isRunning: known?.isRunning ?? true)
        }
    }

    private func names(in folder: String) -> [String: (name: String, image: String)] {
        guard let bytes = context.host.bytes("\(folder)/containers.json", limit: 16 << 20),
            let list = try? JSONValue(parsing: bytes).elements
        else { return [:] }
        var names: [String: (name: String, image: String)] = [:]
        for element in list {
            guard let id = element["id"]?.text else { continue }
            // The image's name is in a JSON text within the JSON.
            let metadata = element["metadata"]?.text.flatMap { try? JSONValue(parsing: Array($0.utf8)) }
            names[id] = (
                element["names"]?.elements?.first?.text ?? String(id.prefix(12)), metadata?["image-name"]?.text ?? ""
            )
        }
        return names
    }
}
