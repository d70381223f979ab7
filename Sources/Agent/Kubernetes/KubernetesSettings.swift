package import Wire

/// Where and as whom the agent asks Kubernetes about the pods of its node and the node itself.
package struct KubernetesSettings: Sendable, Equatable {
    /// The API server; nil for none.
    package var api: HTTPEndpoint?
    /// The kubelet of this node, `https://…:10250` or its read-only port; nil for none.
    package var kubelet: HTTPEndpoint?
    /// The node's name in Kubernetes; nil for the agent's.
    package var node: String?
    /// The token, read anew for each question: it is replaced every hour.
    package var tokenFile = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    /// The authority of the API server.
    package var authorityFile = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
    /// The authority of the kubelet; nil for the API server's.
    package var kubeletAuthorityFile: String?
    /// Whether a kubelet is believed without a look at its certificate.
    package var isKubeletUnverified = false

    /// Settings that ask nobody.
    package init() {}

    /// Whether there is anybody to ask.
    package var isOff: Bool { api == nil && kubelet == nil }

    /// What the environment of a pod says: the API server's address, and the kubelet on this host's own network. Asks
    /// nobody outside of Kubernetes.
    package init(environment: (String) -> String?) {
        guard let host = environment("KUBERNETES_SERVICE_HOST"), !host.isEmpty else { return }
        let port = environment("KUBERNETES_SERVICE_PORT").flatMap { Int($0) } ?? 443
        api = HTTPEndpoint(.tls(host: host, port: port))
        kubelet = HTTPEndpoint(.tls(host: "127.0.0.1", port: 10_250))
        // Where the usual folder is hidden behind another mount.
        if let folder = environment("VEDETTE_SERVICE_ACCOUNT"), folder.hasPrefix("/") {
            (tokenFile, authorityFile) = ("\(folder)/token", "\(folder)/ca.crt")
        }
        if let node = environment("NODE_NAME"), !node.isEmpty { self.node = node }
    }
}
