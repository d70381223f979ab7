internal import Telemetry

/// What container runtimes other than Docker have written about a container, for a host where nobody can be asked: the
/// OCI bundle of containerd, CRI-O, Podman and nerdctl (names, image, labels, environment), the runtime's state (start,
/// main process), Podman's list of names, and the names of Kubernetes' log folders.
///
/// It works air-gapped and beside a runtime that hangs, which is when it matters.
struct RuntimeFiles {
    let host: HostRoot

    /// Bundles are some ten kilobytes; larger ones are not read.
    private static let fileBytesMaximum = 4 << 20
    private static let podLogs = "/var/log/pods"

    /// Everything that is known of what lives in a group.
    func describe(_ group: ContainerGroup, processes: [Int32]) -> Container {
        var container = Container(id: group.facts.id)
        container.runtime = group.facts.runtime
        container.cgroup = group.path
        container.podUID = group.facts.pod
        container.isRunning = true
        if let name = group.facts.name { container.name = name }
        switch group.facts.runtime {
        case .systemd, .machine, .lxc, .rkt: return container
        case .mesos: break
        case .docker, .containerd, .crio, .podman, .nerdctl:
            if let bundle = bundle(of: group) { readBundle(bundle, into: &container) }
            if let state = state(of: group) { readState(state, into: &container) }
            if group.facts.runtime == .podman { readPodman(group, into: &container) }
            if container.name == container.id.prefix(12) { readMonitor(processes.first ?? 0, into: &container) }
            if container.pod == nil, let uid = group.facts.pod { readPodLogs(uid, into: &container) }
        }
        if container.processIdentifier == 0 { container.processIdentifier = processes.first ?? 0 }
        if container.labels["MARATHON_APP_ID"] == nil { readEnvironment(of: processes.first ?? 0, into: &container) }
        return container
    }

    // MARK: - The OCI bundle

    private func bundle(of group: ContainerGroup) -> JSONValue? {
        let id = group.facts.id
        let containerd = ["k8s.io", "default", "moby"].flatMap { namespace in
            ["/run/containerd", "/var/run/containerd", "/run/k3s/containerd"].map {
                "\($0)/io.containerd.runtime.v2.task/\(namespace)/\(id)/config.json"
            }
        }
        let storage = storageFolders(of: group).map { "\($0)/overlay-containers/\(id)/userdata/config.json" }
        let paths = [.crio, .podman].contains(group.facts.runtime) ? storage : containerd
        return paths.lazy.compactMap { json($0) }.first
    }

    /// Where CRI-O and Podman keep containers: for root, or of the user in whose slice the group is.
    private func storageFolders(of group: ContainerGroup) -> [String] {
        guard let user = group.userIdentifier else {
            return ["/run/containers/storage", "/var/lib/containers/storage"]
        }
        var folders = ["/run/user/\(user)/containers"]
        if let home = home(of: user) { folders.append("\(home)/.local/share/containers/storage") }
        return folders
    }

    private func home(of user: String) -> String? {
        for line in (host.text("/etc/passwd") ?? "").split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count > 5, fields[2] == user { return String(fields[5]) }
        }
        return nil
    }

    /// Annotations carry what the runtime was told; each runtime has words of its own for it.
    private func readBundle(_ bundle: JSONValue, into container: inout Container) {
        var notes: [String: String] = [:]
        for member in bundle["annotations"]?.members ?? [] { notes[member.key] = member.value.text ?? "" }
        let kind = notes["io.kubernetes.cri.container-type"] ?? notes["io.kubernetes.cri-o.ContainerType"] ?? ""
        container.isSandbox = kind == "sandbox"
        container.image =
            notes["io.kubernetes.cri.image-name"] ?? notes["io.kubernetes.cri-o.ImageName"]
            ?? notes["org.opencontainers.image.base.name"] ?? container.image
        let names: [(label: String, notes: [String])] = [
            ("io.kubernetes.pod.name", ["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"]),
            ("io.kubernetes.pod.namespace", ["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"]),
            ("io.kubernetes.pod.uid", ["io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid"]),
            ("io.kubernetes.container.name", ["io.kubernetes.cri.container-name", "io.kubernetes.container.name"]),
        ]
        for (label, keys) in names {
            if let value = keys.lazy.compactMap({ notes[$0] }).first, !value.isEmpty { container.labels[label] = value }
        }
        if container.podUID == nil { container.podUID = container.labels["io.kubernetes.pod.uid"] }
        if let name = notes["nerdctl/name"], !name.isEmpty { container.name = name }
        // CRI-O's own labels of the container, as JSON within an annotation.
        if let text = notes["io.kubernetes.cri-o.Labels"], let labels = try? JSONValue(parsing: text) {
            for member in labels.members ?? [] where container.labels[member.key] == nil {
                container.labels[member.key] = member.value.text ?? ""
            }
        }
        let environment = bundle["process"]?["env"]?.elements ?? []
        container.keepEnvironment(environment.lazy.compactMap { $0.text })
    }

    // MARK: - The runtime's state

    private func state(of group: ContainerGroup) -> JSONValue? {
        let id = group.facts.id
        var paths: [String]
        switch group.facts.runtime {
        case .crio, .podman:
            let base = group.userIdentifier.map { "/run/user/\($0)" } ?? "/run"
            paths = ["\(base)/crun/\(id)/status", "\(base)/runc/\(id)/state.json"]
        default:
            paths = ["k8s.io", "default", "moby"].flatMap { namespace in
                ["/run/containerd/runc", "/run/k3s/containerd/runc", "/run/docker/runtime-runc"].map {
                    "\($0)/\(namespace)/\(id)/state.json"
                }
            }
        }
        return paths.lazy.compactMap { json($0) }.first
    }

    /// runc writes `init_process_pid` and `created`, crun `pid` and `created`.
    private func readState(_ state: JSONValue, into container: inout Container) {
        if let created = state["created"]?.text.flatMap({ Timestamps.nanoseconds(rfc3339: $0) }), created > 0 {
            container.startedNanoseconds = created
            container.createdNanoseconds = created
        }
        let process = state["init_process_pid"]?.wholeNumber ?? state["pid"]?.wholeNumber ?? 0
        container.processIdentifier = Int32(clamping: process)
    }

    // MARK: - Podman's names

    private func readPodman(_ group: ContainerGroup, into container: inout Container) {
        for folder in storageFolders(of: group) {
            guard let list = json("\(folder)/overlay-containers/containers.json")?.elements else { continue }
            guard let entry = list.first(where: { $0["id"]?.text == container.id }) else { continue }
            return readEntry(entry, into: &container)
        }
    }

    private func readEntry(_ entry: JSONValue, into container: inout Container) {
        if let name = entry["names"]?.elements?.first?.text { container.name = name }
        guard let text = entry["metadata"]?.text, let metadata = try? JSONValue(parsing: text),
            let image = metadata["image-name"]?.text
        else { return }
        container.image = image
    }

    /// Where Podman keeps its containers elsewhere, their monitor's command line still names them.
    private func readMonitor(_ process: Int32, into container: inout Container) {
        guard
            let monitor = Conmon(of: container.processIdentifier > 0 ? container.processIdentifier : process, on: host)
        else { return }
        if let name = monitor.name, !name.isEmpty { container.name = name }
        guard let folder = monitor.bundle.map({ $0.split(separator: "/").dropLast(2).joined(separator: "/") }),
            let list = json("/\(folder)/containers.json")?.elements,
            let entry = list.first(where: { $0["id"]?.text == container.id })
        else { return }
        readEntry(entry, into: &container)
    }

    // MARK: - Kubernetes without its interface

    /// `/var/log/pods/<namespace>_<pod>_<uid>/<container>/<restarts>.log` (and `<uid>` alone in old clusters).
    private func readPodLogs(_ uid: String, into container: inout Container) {
        for name in host.folderNames(Self.podLogs) ?? [] {
            guard let folder = PodLogFolder(name), folder.uid == uid || folder.uid.filter({ $0 != "-" }) == uid else {
                continue
            }
            container.labels["io.kubernetes.pod.namespace"] = folder.namespace
            container.labels["io.kubernetes.pod.name"] = folder.pod
            // Which of several containers of a pod this is, the folder does not tell.
            let containers = host.folderNames("\(Self.podLogs)/\(name)") ?? []
            if containers.count == 1, !container.isSandbox {
                container.labels["io.kubernetes.container.name"] = containers[0]
            }
            return
        }
    }

    // MARK: - Environment

    /// Marathon and Mesos say who a task is in its environment alone.
    private func readEnvironment(of process: Int32, into container: inout Container) {
        guard process > 0, let bytes = host.bytes("/proc/\(process)/environ", limit: 256 << 10) else { return }
        container.keepEnvironment(bytes.split(separator: 0).lazy.map { String(decoding: $0, as: UTF8.self) })
    }

    private func json(_ path: String) -> JSONValue? {
        guard let bytes = host.bytes(path, limit: Self.fileBytesMaximum) else { return nil }
        return try? JSONValue(parsing: bytes)
    }
}

extension Container {
    /// Keeps what Marathon and Mesos say of a task, and nothing else: an environment holds secrets.
    mutating func keepEnvironment(_ lines: some Sequence<String>) {
        for line in lines {
            guard let equals = line.firstIndex(of: "=") else { continue }
            let (name, value) = (String(line[..<equals]), String(line[line.index(after: equals)...]))
            switch name {
            case "MARATHON_APP_ID", "MESOS_TASK_ID": labels[name] = value
            case "MARATHON_APP_DOCKER_IMAGE" where image.isEmpty: image = value
            default:
                if name.hasPrefix("MARATHON_APP_LABEL_") { labels[name] = value }
            }
        }
    }
}

/// A folder of /var/log/pods: what Kubernetes calls a pod, with no call to anybody.
struct PodLogFolder: Equatable, Sendable {
    var namespace: String
    var pod: String
    var uid: String

    /// Reads `<namespace>_<pod>_<uid>`; names of Kubernetes have no underscores.
    init?(_ name: String) {
        let parts = name.split(separator: "_", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, parts.allSatisfy({ !$0.isEmpty }) else { return nil }
        (namespace, pod, uid) = (parts[0], parts[1], parts[2])
    }
}

/// The workload that a pod's name was made from.
enum PodName {
    /// `web` of `web-6d4cf56db6-x7x2p` (Deployment), `web-x7x2p` (DaemonSet), `web-0` (StatefulSet) and
    /// `backup-28423680-x7x2p` (CronJob). A name that was not made by a controller stays as it is.
    static func workload(_ pod: String) -> String {
        var parts = pod.split(separator: "-").map(String.init)
        guard parts.count > 1, let last = parts.last else { return pod }
        if last.utf8.count <= 4, Int(last) != nil { return parts.dropLast().joined(separator: "-") }
        guard last.utf8.count == 5, isRandom(last) else { return pod }
        parts.removeLast()
        if parts.count > 1, let hash = parts.last {
            let isTemplate = (8...10).contains(hash.utf8.count) && isRandom(hash)
            let isTime = (8...10).contains(hash.utf8.count) && Int(hash) != nil
            if isTemplate || isTime { parts.removeLast() }
        }
        return parts.joined(separator: "-")
    }

    /// Kubernetes' random names have no vowels, and no 0, 1 and 3, so that they form no words.
    private static func isRandom(_ text: String) -> Bool {
        text.utf8.allSatisfy { "bcdfghjklmnpqrstvwxz2456789".utf8.contains($0) }
    }
}
