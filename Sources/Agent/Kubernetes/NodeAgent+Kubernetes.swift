internal import Disk
internal import Telemetry
internal import Transport
internal import Wire

/// How an agent asks Kubernetes about its node.
extension NodeAgent {
    /// What goes on until the agent's task is cancelled; nothing where Kubernetes is not asked.
    func kubernetesWork(_ session: AgentSession, _ disk: DiskWork) -> [@Sendable () async -> Void] {
        guard let cluster else { return [] }
        let (settings, ports, notices, registry) = (options.kubernetes, ports, notices, registry)
        let name = settings.node ?? session.node
        let account = ServiceAccount(
            settings,
            read: { [storage = ports.storage] path in
                await disk.perform { (try? AtomicFile.read(path, in: storage, maximumBytes: 1 << 20)) ?? nil }
            }, adopt: ports.use)
        registry.expectPods()
        cluster.onPods { [clock = ports.monotonicClock, unowned cluster] in
            registry.setPods(PodIdentity.all(cluster.pods.values), atNanoseconds: clock.nowNanoseconds)
        }
        var work: [@Sendable () async -> Void] = []
        if let endpoint = settings.kubelet {
            let api = KubernetesAPI(
                http: ports.http, endpoint: endpoint, account: account, profile: ServiceAccount.kubeletProfile)
            let kubelet = KubeletPods(api: api, view: cluster, notices: notices)
            work.append { await kubelet.run() }
        }
        guard let endpoint = settings.api else { return work }
        let api = KubernetesAPI(
            http: ports.http, endpoint: endpoint, account: account, profile: ServiceAccount.apiProfile)
        let pods = ObjectWatch<PodDescription>(
            api: api, path: "/api/v1/pods", selector: "spec.nodeName=\(name)", clock: ports.monotonicClock,
            notices: notices, read: { json in PodDescription(json).map { ($0.uid, $0) } },
            publish: { cluster.setAPI($0) })
        let nodes = ObjectWatch<NodeDescription>(
            api: api, path: "/api/v1/nodes", selector: "metadata.name=\(name)", clock: ports.monotonicClock,
            notices: notices, read: { json in NodeDescription(json).map { ($0.name, $0) } },
            publish: { cluster.setNode($0) })
        work.append { await pods.run() }
        work.append { await nodes.run() }
        return work
    }
}
