internal import Telemetry

/// A container as an identity: it keeps its id over restarts, and everything said about it carries the same labels.
struct Container: Sendable, Equatable {
    /// 64 hexadecimal digits; of services and machines their kind and name (`ContainerPath.id`).
    var id: String
    /// The runtime's name for it, without the slash Docker puts in front.
    var name: String
    /// The image as it was asked for, for example `redis:7`.
    var image: String
    /// The labels it was made with.
    var labels: [String: String]
    /// Who made it.
    var runtime: ContainerPath.Runtime
    /// The path of its cgroup; also kept while it is stopped.
    var cgroup: String?
    var isRunning: Bool
    /// Its main process, 0 while it is stopped or when that is not known.
    var processIdentifier: Int32
    /// When it was started last; 0 when that is not known.
    var startedNanoseconds: Int64
    /// When it was made; 0 when that is not known.
    var createdNanoseconds: Int64
    /// What its health check says ("healthy", "unhealthy", "starting"); empty when it has none.
    var health: String
    /// Whether it only holds the namespaces of a pod (a "pause" container).
    var isSandbox: Bool
    /// How it ended last; nil while it runs or when that is not known.
    var exitCode: Int?
    /// When it ended last; 0 while it runs or when that is not known.
    var finishedNanoseconds: Int64
    /// Whether the engine says that its last end was for lack of memory. Its silence proves nothing.
    var isOutOfMemory: Bool
    /// How often its restart policy restarted it.
    var restartCount: Int
    /// The log file that its engine writes; nil with a log driver that writes none which others may read.
    var logPath: String?
    /// The engine's name for how it logs, for example `json-file`, `local`, `journald`; empty when that is not known.
    var logDriver = ""
    /// Whether it has a terminal, so that the engine does not tell its two streams apart.
    var hasTerminal = false
    /// Whether it has a network of its own, rather than the host's or another container's.
    var hasOwnNetwork: Bool
    /// The pod's uid from its cgroup; nil outside of Kubernetes.
    var podUID: String?
    /// What the pod is an instance of, as Kubernetes said; nil where it was not asked.
    var workload: String?

    /// A container of which nothing but its id is known.
    init(id: String) {
        self.id = id
        name = String(id.prefix(12))
        image = ""
        labels = [:]
        runtime = .docker
        cgroup = nil
        isRunning = false
        processIdentifier = 0
        startedNanoseconds = 0
        createdNanoseconds = 0
        health = ""
        isSandbox = false
        exitCode = nil
        finishedNanoseconds = 0
        isOutOfMemory = false
        restartCount = 0
        logPath = nil
        hasOwnNetwork = false
        podUID = nil
    }

    /// The Kubernetes namespace, nil outside of it.
    var namespace: String? { labels["io.kubernetes.pod.namespace"] }

    /// The pod's name, nil outside of Kubernetes.
    var pod: String? { labels["io.kubernetes.pod.name"] }

    /// The container's name within its pod, or its own; empty for what is no container and for a pod's sandbox, as the
    /// kubelet has it.
    var containerName: String {
        if isSandbox || runtime == .systemd || runtime == .machine { return "" }
        let name = labels["io.kubernetes.container.name"] ?? name
        return name == "POD" ? "" : name
    }

    /// What people call it in a sentence.
    var noun: String {
        switch runtime {
        case .systemd: "unit"
        case .machine: "machine"
        default: "container"
        }
    }

    /// Where the kubelet keeps its logs; nil outside of Kubernetes and while that is not known.
    var podLogFolder: String? {
        guard let namespace, let pod, let podUID, !containerName.isEmpty else { return nil }
        return "/var/log/pods/\(namespace)_\(pod)_\(podUID)/\(containerName)"
    }

    /// What the container is an instance of; counters and alerts about a service outlive its containers.
    ///
    /// The label `vedette.service`, else the Kubernetes workload (by what made the pod, else by labels, else by the
    /// pod's name), Swarm service, Compose project and service, Marathon application, else the name.
    var service: String {
        if let service = labels["vedette.service"], !service.isEmpty { return service }
        if let namespace, labels["io.kubernetes.pod.name"] != nil {
            // Pods are named anew whenever they are made anew; what made them is not.
            let workload =
                workload ?? labels["app.kubernetes.io/name"] ?? labels["app"] ?? PodName.workload(pod ?? "")
            return containerName.isEmpty ? "\(namespace)/\(workload)" : "\(namespace)/\(workload)/\(containerName)"
        }
        if let service = labels["com.docker.swarm.service.name"] { return service }
        if let service = labels["com.docker.compose.service"] {
            return labels["com.docker.compose.project"].map { "\($0)/\(service)" } ?? service
        }
        if let application = labels["MARATHON_APP_ID"] { return application }
        // A task's id is its name, a dot, and a number of its own.
        if runtime == .mesos, let task = labels["MESOS_TASK_ID"] {
            return task.lastIndex(of: ".").map { String(task[..<$0]) } ?? task
        }
        return name
    }

    /// The labels of its events and log lines: who it is, without what only dashboards need.
    func identity(node: String) -> Labels {
        Labels([
            "container": containerName, "container_id": id, "image": image, "service": service, "node": node,
            "namespace": namespace ?? "", "pod": pod ?? "",
        ])
    }

    /// The labels of its log streams, as Loki's Docker clients name them.
    func streamLabels(node: String, stream: String, source: String = "docker") -> Labels {
        Labels([
            "container": containerName, "image": image, "service": service, "node": node, "stream": stream,
            "source": source, "namespace": namespace ?? "", "pod": pod ?? "",
        ])
    }

    /// The labels of its series: cAdvisor's `id`, `name`, `image`, `container_label_*`, the kubelet's, and ours.
    func seriesLabels(node: String) -> [(name: String, value: String)] {
        var pairs: [(name: String, value: String)] = [
            ("job", "cadvisor"), ("instance", node), ("node", node), ("id", cgroup ?? "/docker/\(id)"),
            ("name", runtime == .systemd ? "" : name), ("image", image), ("container", containerName),
            ("service", service),
            ("namespace", namespace ?? ""), ("pod", pod ?? ""),
        ]
        for key in labels.keys.sorted() where Self.isKept(label: key) && pairs.count < Self.seriesLabelsMaximum {
            guard let value = labels[key], value.utf8.count <= Self.labelValueBytesMaximum else { continue }
            pairs.append(("container_label_\(Self.labelName(key))", value))
        }
        return pairs
    }

    /// Bounds, because each label is part of each of a container's fifty series.
    private static let seriesLabelsMaximum = 10 + 16
    private static let labelValueBytesMaximum = 128
    private static let labelNameBytesMaximum = 96

    /// Labels that change with each deployment or only repeat others would end every series at every deployment.
    private static func isKept(label: String) -> Bool {
        let dropped = [
            "com.docker.compose.config-hash", "com.docker.compose.image", "annotation.", "org.opencontainers.",
        ]
        return label.utf8.count <= labelNameBytesMaximum && !dropped.contains { label.hasPrefix($0) }
    }

    /// cAdvisor's rule: what may not stand in a label's name becomes an underscore.
    private static func labelName(_ text: String) -> String {
        String(
            decoding: text.utf8.map { byte in
                let isLetter = (0x61...0x7a).contains(byte | 0x20) || (0x30...0x39).contains(byte)
                return isLetter ? byte : UInt8(ascii: "_")
            }, as: UTF8.self)
    }
}
