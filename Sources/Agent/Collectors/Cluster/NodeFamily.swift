/// One metric of a node: what a description makes of it. Names, labels and values are kube-state-metrics'
/// (`internal/store/node.go` of version 2).
struct NodeFamily: Sendable {
    let metric: Metric
    let points: @Sendable (NodeDescription) -> [PodFamily.Point]

    /// All of them: one line here adds a metric.
    static let all: [NodeFamily] = [
        information,
        NodeFamily(.gauge("kube_node_role", "The role of a cluster node.")) { $0.roles.map { ([("role", $0)], 1) } },
        taint,
        NodeFamily(.gauge("kube_node_spec_unschedulable", "Whether a node can schedule new pods.")) {
            [([], $0.isUnschedulable ? 1 : 0)]
        },
        condition,
        NodeFamily(.gauge("kube_node_status_capacity", "The capacity for different resources of a node.")) {
            resources($0.capacity)
        },
        NodeFamily(.gauge("kube_node_status_allocatable", allocatableHelp)) { resources($0.allocatable) },
    ]

    private static let allocatableHelp =
        "The allocatable for different resources of a node that are available for scheduling."

    private init(_ metric: Metric, _ points: @escaping @Sendable (NodeDescription) -> [PodFamily.Point]) {
        self.metric = metric
        self.points = points
    }

    private static let information = NodeFamily(
        .gauge("kube_node_info", "Information about a cluster node.")
    ) { node in
        let said: [(String, String)] = [
            ("kernel_version", "kernelVersion"), ("os_image", "osImage"),
            ("container_runtime_version", "containerRuntimeVersion"), ("kubelet_version", "kubeletVersion"),
            ("kubeproxy_version", "kubeProxyVersion"), ("system_uuid", "systemUUID"),
        ]
        let own = [("provider_id", node.providerID), ("pod_cidr", node.podCIDR), ("internal_ip", node.internalIP)]
        return [(said.map { ($0.0, node.information[$0.1] ?? "") } + own, 1)]
    }

    private static let taint = NodeFamily(.gauge("kube_node_spec_taint", "The taint of a cluster node.")) { node in
        node.taints.map { ([("key", $0.key), ("value", $0.value), ("effect", $0.effect)], 1) }
    }

    private static let condition = NodeFamily(
        .gauge("kube_node_status_condition", "The condition of a cluster node.")
    ) { node in
        node.conditions.flatMap { condition in
            ConditionStatus.allCases.map { status in
                (
                    [("condition", condition.type), ("status", status.rawValue)],
                    status.matches(condition.status) ? 1 : 0
                )
            }
        }
    }

    private static func resources(_ quantities: [String: ResourceQuantity]) -> [PodFamily.Point] {
        quantities.sorted { $0.key < $1.key }.compactMap { name, quantity in
            ClusterResource(name).map { resource in
                ([("resource", resource.label), ("unit", resource.unit)], resource.value(quantity))
            }
        }
    }
}
