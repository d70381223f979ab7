internal import Telemetry

/// A pod as Kubernetes describes it (core/v1 `Pod`): what metrics and identities are made of. Fields that are not known
/// are left alone, fields that are missing are empty.
struct PodDescription: Sendable, Equatable {
    /// Who made it.
    struct Owner: Sendable, Equatable {
        var kind: String
        var name: String
        var isController: Bool
    }

    /// A container as it was asked for.
    struct ContainerSpecification: Sendable, Equatable {
        var name: String
        var image: String
        var requests: [String: ResourceQuantity]
        var limits: [String: ResourceQuantity]
    }

    /// A container as it is.
    struct ContainerStatus: Sendable, Equatable {
        var name: String
        var image: String
        var imageID: String
        /// With its runtime in front: `containerd://<64 digits>`.
        var containerID: String
        var restartCount: Int64
        /// Why it does not run yet; nil when it is not waiting.
        var waitingReason: String?
    }

    var name: String
    var namespace: String
    var uid: String
    /// The uid under which the kubelet runs a pod of a file of its own: the cluster's copy has another.
    var staticUID: String?
    var labels: [String: String]
    var owners: [Owner]
    var node: String
    var hostIP: String
    var podIP: String
    var priorityClass: String
    var isHostNetwork: Bool
    var phase: String
    var reason: String
    /// `True`, `False`, `Unknown`; nil while nobody said.
    var ready: String?
    var containers: [ContainerSpecification]
    /// Of all kinds of containers, those of initialization first.
    var statuses: [ContainerStatus]
    /// How many of `statuses` are of ordinary containers: the last ones.
    var ordinaryStatusCount: Int

    /// Bounds of what one pod may say.
    private static let containersMaximum = 256

    /// Reads a pod; nil without a name, a namespace and a uid.
    init?(_ json: JSONValue) {
        guard let metadata = json["metadata"], let name = metadata["name"]?.text, !name.isEmpty,
            let namespace = metadata["namespace"]?.text, let uid = metadata["uid"]?.text, !uid.isEmpty
        else { return nil }
        (self.name, self.namespace, self.uid) = (name, namespace, uid)
        staticUID = metadata["annotations"]?["kubernetes.io/config.hash"]?.text
        labels = Self.texts(metadata["labels"])
        owners = (metadata["ownerReferences"]?.elements ?? []).prefix(16).map { owner in
            Owner(
                kind: owner["kind"]?.text ?? "", name: owner["name"]?.text ?? "",
                isController: owner["controller"]?.truth ?? false)
        }
        let specification = json["spec"]
        let status = json["status"]
        node = specification?["nodeName"]?.text ?? ""
        priorityClass = specification?["priorityClassName"]?.text ?? ""
        isHostNetwork = specification?["hostNetwork"]?.truth ?? false
        hostIP = status?["hostIP"]?.text ?? ""
        podIP = status?["podIP"]?.text ?? ""
        phase = status?["phase"]?.text ?? ""
        reason = status?["reason"]?.text ?? ""
        ready = status?["conditions"]?.elements?.last { $0["type"]?.text == "Ready" }?["status"]?.text
        containers = (specification?["containers"]?.elements ?? []).prefix(Self.containersMaximum).map { container in
            ContainerSpecification(
                name: container["name"]?.text ?? "", image: container["image"]?.text ?? "",
                requests: Self.quantities(container["resources"]?["requests"]),
                limits: Self.quantities(container["resources"]?["limits"]))
        }
        let ordinary = Self.statuses(status?["containerStatuses"])
        statuses =
            Self.statuses(status?["initContainerStatuses"]) + Self.statuses(status?["ephemeralContainerStatuses"])
            + ordinary
        ordinaryStatusCount = ordinary.count
    }

    /// The owner that makes it anew when it goes.
    var controller: Owner? { owners.first { $0.isController } }

    /// What the pod is an instance of: what made its owner, where the owner's name tells. Nil for a pod of nobody's.
    ///
    /// A ReplicaSet is called after its Deployment and a hash that each of its pods carries as a label, a Job after its
    /// CronJob and a time; a pod that a kubelet runs from a file is called after its node.
    var workload: String? {
        guard let controller else {
            return staticUID == nil || node.isEmpty ? nil : Self.without("-\(node)", name)
        }
        switch controller.kind {
        case "ReplicaSet":
            if let hash = labels["pod-template-hash"] { return Self.without("-\(hash)", controller.name) }
            // Its own name is a pod's without the last part.
            return PodName.workload("\(controller.name)-bbbbb")
        case "Job":
            let parts = controller.name.split(separator: "-")
            let isTimed = parts.count > 1 && (8...10).contains(parts[parts.count - 1].count)
            return isTimed && Int(parts[parts.count - 1]) != nil
                ? parts.dropLast().joined(separator: "-") : controller.name
        case "Node": return Self.without("-\(controller.name)", name)
        default: return controller.name
        }
    }

    private static func without(_ suffix: String, _ text: String) -> String {
        text.hasSuffix(suffix) && text.utf8.count > suffix.utf8.count ? String(text.dropLast(suffix.count)) : text
    }

    private static func texts(_ json: JSONValue?) -> [String: String] {
        var texts: [String: String] = [:]
        for member in (json?.members ?? []).prefix(256) { texts[member.key] = member.value.text }
        return texts
    }

    /// Quantities by resource; those that are none are left out.
    static func quantities(_ json: JSONValue?) -> [String: ResourceQuantity] {
        var quantities: [String: ResourceQuantity] = [:]
        for member in (json?.members ?? []).prefix(64) {
            // A number without a suffix may stand without quotation marks.
            let text = member.value.text ?? member.value.wholeNumber.map { String($0) } ?? ""
            quantities[member.key] = ResourceQuantity(text)
        }
        return quantities
    }

    private static func statuses(_ json: JSONValue?) -> [ContainerStatus] {
        (json?.elements ?? []).prefix(containersMaximum).map { status in
            ContainerStatus(
                name: status["name"]?.text ?? "", image: status["image"]?.text ?? "",
                imageID: status["imageID"]?.text ?? "", containerID: status["containerID"]?.text ?? "",
                restartCount: status["restartCount"]?.wholeNumber ?? 0,
                waitingReason: status["state"]?["waiting"].map { $0["reason"]?.text ?? "" })
        }
    }
}
