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
            guard let pod = PodFolder(name) else { continue }
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

    private func labels(_ pod: PodFolder, _ container: String, _ known: [Container]) -> [Labels] {
        // Where an engine told of the container, everything else said about it carries the same labels.
        if let named = known.first(where: { $0.containerName == container && $0.pod != nil }) {
            return LogStream.allCases.map { named.streamLabels(node: context.node, stream: $0.label) }
        }
        return LogStream.allCases.map { stream in
            Labels([
                "container": container, "namespace": pod.namespace, "pod": pod.name, "node": context.node,
                "service": "\(pod.namespace)/\(pod.workload)/\(container)", "stream": stream.label,
                "source": "kubernetes",
            ])
        }
    }
}

/// The name of a pod's folder, and what it says.
struct PodFolder: Equatable {
    var namespace: String
    var name: String
    var uid: String

    /// Reads `namespace_pod_uid`; none of the three may hold an underscore.
    init?(_ folder: String) {
        let parts = folder.split(separator: "_", omittingEmptySubsequences: false)
        guard parts.count == 3, parts.allSatisfy({ !$0.isEmpty }) else { return nil }
        (namespace, name, uid) = (String(parts[0]), String(parts[1]), String(parts[2]))
    }

    /// The pod's name without what its controller put behind it: `web-7d4b9c8f6d-x2lqz` is `web`, `db-0` is `db`.
    /// Kubernetes makes suffixes of an alphabet without vowels, so that they are told from words.
    var workload: String {
        var parts = name.split(separator: "-")
        guard parts.count > 1, let last = parts.last else { return name }
        if last.utf8.allSatisfy({ (0x30...0x39).contains($0) }), last.utf8.count < 5 {
            return parts.dropLast().joined(separator: "-")
        }
        guard last.utf8.count == 5, Self.isGenerated(last) else { return name }
        parts.removeLast()
        if parts.count > 1, let hash = parts.last, (6...10).contains(hash.utf8.count), Self.isGenerated(hash) {
            parts.removeLast()
        }
        return parts.joined(separator: "-")
    }

    private static func isGenerated(_ text: Substring) -> Bool {
        text.allSatisfy { "bcdfghjklmnpqrstvwxz2456789".contains($0) }
    }
}
