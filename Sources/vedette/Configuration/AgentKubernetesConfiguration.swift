internal import Agent
internal import Telemetry
internal import Wire

/// The section `agent.kubernetes`: where and as whom an agent asks Kubernetes about its node. What it does not say is
/// as the environment of a pod has it.
enum AgentKubernetesConfiguration {
    /// Reads and checks the section.
    static func settings(_ value: YAMLValue) throws(ConfigurationError) -> KubernetesSettings {
        var settings = KubernetesSettings(environment: ServerClient.environment)
        var mapping = try value.mapping()
        if let address = mapping.optional("api") { settings.api = try endpoint(address) }
        if let address = mapping.optional("kubelet") { settings.kubelet = try endpoint(address) }
        settings.node = try mapping.text("node") ?? settings.node
        settings.tokenFile = try mapping.text("token_file") ?? settings.tokenFile
        settings.authorityFile = try mapping.text("ca_file") ?? settings.authorityFile
        settings.kubeletAuthorityFile = try mapping.text("kubelet_ca_file")
        settings.isKubeletUnverified = try mapping.truth("kubelet_insecure") ?? false
        try mapping.finish()
        return settings
    }

    /// An address; "" is nobody.
    private static func endpoint(_ value: YAMLValue) throws(ConfigurationError) -> HTTPEndpoint? {
        let text = try value.text()
        if text.isEmpty { return nil }
        let endpoint: HTTPEndpoint
        do {
            endpoint = try HTTPEndpoint.parse(text)
        } catch {
            throw value.error("\(error)")
        }
        // Plain HTTP is what a kubelet's read-only port speaks; the API server's would carry what anybody may forge.
        if case .unix = endpoint.connection { throw value.error("\(text) is no address of Kubernetes") }
        return endpoint
    }
}
