internal import Telemetry

/// A node as Kubernetes describes it (core/v1 `Node`).
struct NodeDescription: Sendable, Equatable {
    /// What keeps pods away from it.
    struct Taint: Sendable, Equatable {
        var key: String
        var value: String
        var effect: String
    }

    /// One thing that is said about it.
    struct Condition: Sendable, Equatable {
        var type: String
        /// `True`, `False`, `Unknown`.
        var status: String
    }

    var name: String
    var roles: [String]
    var isUnschedulable: Bool
    var taints: [Taint]
    var podCIDR: String
    var providerID: String
    var internalIP: String
    /// `kernelVersion`, `osImage` and so on, as the kubelet says.
    var information: [String: String]
    var capacity: [String: ResourceQuantity]
    var allocatable: [String: ResourceQuantity]
    var conditions: [Condition]

    private static let rolePrefix = "node-role.kubernetes.io/"

    /// Reads a node; nil without a name.
    init?(_ json: JSONValue) {
        guard let name = json["metadata"]?["name"]?.text, !name.isEmpty else { return nil }
        self.name = name
        roles = (json["metadata"]?["labels"]?.members ?? []).compactMap { member in
            member.key.hasPrefix(Self.rolePrefix) ? String(member.key.dropFirst(Self.rolePrefix.count)) : nil
        }.sorted()
        let (specification, status) = (json["spec"], json["status"])
        isUnschedulable = specification?["unschedulable"]?.truth ?? false
        taints = (specification?["taints"]?.elements ?? []).prefix(64).map { taint in
            Taint(
                key: taint["key"]?.text ?? "", value: taint["value"]?.text ?? "", effect: taint["effect"]?.text ?? "")
        }
        podCIDR = specification?["podCIDR"]?.text ?? ""
        providerID = specification?["providerID"]?.text ?? ""
        internalIP =
            status?["addresses"]?.elements?.first { $0["type"]?.text == "InternalIP" }?["address"]?.text ?? ""
        information = [:]
        for member in (status?["nodeInfo"]?.members ?? []).prefix(32) { information[member.key] = member.value.text }
        capacity = PodDescription.quantities(status?["capacity"])
        allocatable = PodDescription.quantities(status?["allocatable"])
        conditions = (status?["conditions"]?.elements ?? []).prefix(64).map { condition in
            Condition(type: condition["type"]?.text ?? "", status: condition["status"]?.text ?? "")
        }
    }
}
