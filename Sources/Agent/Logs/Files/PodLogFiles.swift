internal import Glibc
internal import Telemetry

/// The logs of a kubelet's pods: `<folder>/<namespace>_<pod>_<uid>/<container>/<restarts>.log`. The path says all that
/// is needed, so nobody has to be asked. `/var/log/containers` is left alone: its links may come late or never.
final class PodLogFiles: FileLogSource {
    private let context: FileLogContext
    private let root: String
    private(set) var folders: [String] = []

    init?(_ context: FileLogContext) {
        self.context = context
        root = context.settings.podFolder
        guard !root.isEmpty else { return nil }
    }

    func logs(_ snapshot: ContainerRegistry.Snapshot) -> [FollowedLog] {
        let host = context.host
        var logs: [FollowedLog] = []
        var folders = [host.path(root)]
        // The engine tells of the same files where it is Docker: behind a link, under the container's id.
        let known = Set(snapshot.containers.values.compactMap(\.logPath))
        let pods = Dictionary(grouping: snapshot.containers.values.filter { $0.podUID != nil }) { $0.podUID ?? "" }
        for name in host.names(root) ?? [] {
            guard let pod = PodLogFolder(name) else { continue }
            folders.append(host.path("\(root)/\(name)"))
            for container in host.folderNames("\(root)/\(name)") ?? [] {
                for file in host.names("\(root)/\(name)/\(container)") ?? [] where Self.isLog(file) {
                    let path = host.path("\(root)/\(name)/\(container)/\(file)")
                    guard let target = Self.target(path), !known.contains(target) else { continue }
                    let labels = labels(pod, container, pods[pod.uid] ?? [])
                    logs.append(
                        FollowedLog(
                            key: path, path: target,
                            format: target.hasSuffix("-json.log") ? DockerJSONFormat() : CRIFormat(), labels: labels,
                            writer: pod.uid))
                }
            }
        }
        self.folders = folders
        return logs
    }

    /// `0.log`, not `0.log.20260102-030405`.
    private static func isLog(_ name: String) -> Bool {
        name.hasSuffix(".log") && !name.dropLast(4).isEmpty
            && name.dropLast(4).utf8.allSatisfy { (0x30...0x39).contains($0) }
    }

    /// What a path means in the end, since rotated files lie beside that; nil when it means nothing.
    private static func target(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    private func labels(_ pod: PodLogFolder, _ container: String, _ known: [Container]) -> [Labels] {
        // Where an engine told of the container, everything else said about it carries the same labels.
        if let named = known.first(where: { $0.containerName == container && $0.pod != nil }) {
            return LogStream.allCases.map { named.streamLabels(node: context.node, stream: $0.label) }
        }
        return LogStream.allCases.map { stream in
            Labels([
                "container": container, "namespace": pod.namespace, "pod": pod.pod, "node": context.node,
                "service": "\(pod.namespace)/\(PodName.workload(pod.pod))/\(container)", "stream": stream.label,
                "source": "kubernetes",
            ])
        }
    }
}
