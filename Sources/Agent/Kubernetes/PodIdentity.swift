/// What a pod's description adds to the identity of its containers.
struct PodIdentity: Sendable, Equatable {
    /// A container as the pod calls it.
    struct Member: Sendable, Equatable {
        var name: String
        var image: String
    }

    var namespace: String
    var name: String
    /// What the pod is an instance of; nil where nothing made it.
    var workload: String?
    /// The pod's label `vedette.service`.
    var service: String?
    /// By the container's id.
    var members: [String: Member]

    /// The identity in a description.
    init(_ pod: PodDescription) {
        (namespace, name) = (pod.namespace, pod.name)
        // An application's name is shared by whatever was installed from one chart; what made the pod is not.
        workload = pod.workload ?? pod.labels["app.kubernetes.io/name"] ?? pod.labels["app"]
        service = pod.labels["vedette.service"]
        members = [:]
        for status in pod.statuses {
            // "containerd://<id>"
            guard let id = status.containerID.split(separator: "/").last else { continue }
            members[String(id)] = Member(name: status.name, image: status.image)
        }
    }

    /// The identities of all pods, by the uid that their cgroups carry.
    static func all(_ pods: some Sequence<PodDescription>) -> [String: PodIdentity] {
        var identities: [String: PodIdentity] = [:]
        for pod in pods {
            let identity = PodIdentity(pod)
            identities[pod.uid] = identity
            guard let uid = pod.staticUID else { continue }
            identities[uid] = identity
        }
        return identities
    }

    /// Adds what a container's own labels do not say.
    func complete(_ container: inout Container) {
        func set(_ key: String, _ value: String?) {
            guard let value, !value.isEmpty, container.labels[key, default: ""].isEmpty else { return }
            container.labels[key] = value
        }
        set("io.kubernetes.pod.namespace", namespace)
        set("io.kubernetes.pod.name", name)
        set("vedette.service", service)
        container.workload = workload
        guard let member = members[container.id] else { return }
        set("io.kubernetes.container.name", member.name)
        if container.image.isEmpty { container.image = member.image }
    }
}
