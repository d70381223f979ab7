/// One metric of a pod: what a description makes of it. Names, labels and values are kube-state-metrics'
/// (`internal/store/pod.go` of version 2).
struct PodFamily: Sendable {
    /// One series of the family, with the labels that come on top of `namespace`, `pod` and `uid`.
    typealias Point = (labels: [(String, String)], value: Double)

    let metric: Metric
    let points: @Sendable (PodDescription) -> [Point]

    /// All of them: one line here adds a metric.
    static let all: [PodFamily] = [
        information, owner, phase, ready, reason, waitingReason, containerInformation, restarts,
        PodFamily(.gauge("kube_pod_container_resource_requests", requestsHelp)) { resources($0, \.requests) },
        PodFamily(.gauge("kube_pod_container_resource_limits", limitsHelp)) { resources($0, \.limits) },
    ]

    private static let requestsHelp = "The number of requested request resource by a container."
    private static let limitsHelp = "The number of requested limit resource by a container."

    private init(_ metric: Metric, _ points: @escaping @Sendable (PodDescription) -> [Point]) {
        self.metric = metric
        self.points = points
    }

    private static let information = PodFamily(.gauge("kube_pod_info", "Information about pod.")) { pod in
        let controller = pod.controller
        let labels = [
            ("host_ip", pod.hostIP), ("pod_ip", pod.podIP), ("node", pod.node),
            ("created_by_kind", controller?.kind ?? ""), ("created_by_name", controller?.name ?? ""),
            ("priority_class", pod.priorityClass), ("host_network", "\(pod.isHostNetwork)"),
        ]
        return [(labels, 1)]
    }

    private static let owner = PodFamily(
        .gauge("kube_pod_owner", "Information about the Pod's owner.")
    ) { pod in
        // A pod of nobody's has one series without an owner, which rules look for.
        if pod.owners.isEmpty { return [([], 1)] }
        return pod.owners.map { owner in
            let labels = [
                ("owner_kind", owner.kind), ("owner_name", owner.name),
                ("owner_is_controller", "\(owner.isController)"),
            ]
            return (labels, 1)
        }
    }

    private static let phases = ["Pending", "Succeeded", "Failed", "Unknown", "Running"]
    private static let phase = PodFamily(.gauge("kube_pod_status_phase", "The pods current phase.")) { pod in
        pod.phase.isEmpty ? [] : phases.map { ([("phase", $0)], $0 == pod.phase ? 1 : 0) }
    }

    private static let ready = PodFamily(
        .gauge("kube_pod_status_ready", "Describes whether the pod is ready to serve requests.")
    ) { pod in
        pod.ready.map { ready in
            ConditionStatus.allCases.map { ([("condition", $0.rawValue)], $0.matches(ready) ? 1 : 0) }
        } ?? []
    }

    private static let reasons = ["Evicted", "NodeAffinity", "NodeLost", "Shutdown", "UnexpectedAdmissionError"]
    private static let reason = PodFamily(.gauge("kube_pod_status_reason", "The pod status reasons")) { pod in
        reasons.map { ([("reason", $0)], $0 == pod.reason ? 1 : 0) }
    }

    private static let waitingReason = PodFamily(
        .gauge(
            "kube_pod_container_status_waiting_reason",
            "Describes the reason the container is currently in waiting state.")
    ) { pod in
        ordinary(pod).compactMap { status in
            status.waitingReason.map { ([("container", status.name), ("reason", $0)], 1) }
        }
    }

    private static let containerInformation = PodFamily(
        .gauge("kube_pod_container_info", "Information about a container in a pod.")
    ) { pod in
        ordinary(pod).map { status in
            let asked = pod.containers.first { $0.name == status.name }?.image ?? ""
            let labels = [
                ("container", status.name), ("image_spec", asked), ("image", status.image),
                ("image_id", status.imageID), ("container_id", status.containerID),
            ]
            return (labels, 1)
        }
    }

    private static let restarts = PodFamily(
        .counter("kube_pod_container_status_restarts_total", "The number of container restarts per container.")
    ) { pod in
        ordinary(pod).map { ([("container", $0.name)], Double($0.restartCount)) }
    }

    private static func ordinary(_ pod: PodDescription) -> ArraySlice<PodDescription.ContainerStatus> {
        pod.statuses.suffix(pod.ordinaryStatusCount)
    }

    private static func resources(
        _ pod: PodDescription, _ which: (PodDescription.ContainerSpecification) -> [String: ResourceQuantity]
    ) -> [Point] {
        pod.containers.flatMap { container in
            which(container).sorted { $0.key < $1.key }.compactMap { name, quantity -> Point? in
                guard let resource = ClusterResource(name), name != "pods" else { return nil }
                let labels = [
                    ("container", container.name), ("node", pod.node), ("resource", resource.label),
                    ("unit", resource.unit),
                ]
                return (labels, resource.value(quantity))
            }
        }
    }
}

/// The three values of a condition, as kube-state-metrics labels them.
enum ConditionStatus: String, CaseIterable {
    case yes = "true"
    case no = "false"
    case unknown

    /// Whether Kubernetes' word (`True`, `False`, `Unknown`) is this one.
    func matches(_ word: String) -> Bool { word.lowercased() == rawValue }
}

/// A resource as kube-state-metrics shows it.
struct ClusterResource {
    let label: String
    let unit: String
    private let isFine: Bool

    /// The resource of a name in Kubernetes; nil for those that are not shown.
    init?(_ name: String) {
        let bytes =
            ["memory", "storage", "ephemeral-storage"].contains(name) || name.hasPrefix("hugepages-")
            || name.hasPrefix("attachable-volumes-")
        // What is not of Kubernetes itself has a domain in front: nvidia.com/gpu.
        let isExtended = name.contains("/") && !name.contains("kubernetes.io/") && !name.hasPrefix("requests.")
        guard name == "cpu" || name == "pods" || bytes || isExtended else { return nil }
        label = String(
            decoding: name.utf8.map { byte in
                let isKept = (0x61...0x7a).contains(byte | 0x20) || (0x30...0x39).contains(byte)
                return isKept ? byte : UInt8(ascii: "_")
            }, as: UTF8.self)
        unit = name == "cpu" ? "core" : bytes ? "byte" : "integer"
        isFine = name == "cpu"
    }

    /// A quantity of it in its unit.
    func value(_ quantity: ResourceQuantity) -> Double { isFine ? quantity.value : quantity.wholeValue }
}
