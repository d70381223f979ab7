internal import Foundation

/// Everything a story of trouble needs: an engine, a provider, rules, a remedy, an allow-list, the binary.
package final class HealingStage: @unchecked Sendable {
    package let scratch: ScratchFolder
    package let engine: DockerEngine
    package let provider: WebhookProvider
    package let vedette: VedetteProcess
    /// The agent where it runs apart; nil where it is part of `vedette up`.
    package let agent: ChildProcess?

    /// How the stage differs from the usual one.
    package struct Options: Sendable {
        /// `auto`, `shadow` or `approve`.
        package var mode = "auto"
        /// What the provider does with the first requests.
        package var providerScript: [WebhookProvider.Behaviour] = []
        /// The selector of the allow-list; empty for no allow-list at all.
        package var allowed = "web*"
        /// How long after a restart the next is allowed.
        package var cooldown = "1s"
        /// Whether server and agent are two processes, so that one can be killed without the other.
        package var runsApart = false

        /// The usual stage.
        package init() {}
    }

    /// The window of the rule: recovery is known when the kill has left it.
    package static let ruleWindowSeconds = 6.0

    /// Starts all of it.
    package static func set(_ name: String, options: Options = Options()) async throws -> HealingStage {
        let scratch = try ScratchFolder(name)
        let provider = try WebhookProvider(script: options.providerScript)
        let engine = try await DockerEngine.start()
        try scratch.write("rules/containers.yml", rules)
        try scratch.write("rules/restart.remedy.yml", remedy(options))
        try scratch.write("vedette.yml", configuration(provider))
        let rules = ["--rules", scratch.file("rules"), "--config", scratch.file("vedette.yml")]
        let actions = scratch.file("actions.yml")
        if !options.allowed.isEmpty { try scratch.write("actions.yml", allowList(options)) }
        let host = ["--docker", engine.host, "--node", "stage", "--actions", actions]
        do {
            let vedette = try await VedetteProcess(
                options.runsApart ? "server" : "up", dataFolder: scratch.file("data"),
                arguments: options.runsApart ? rules : rules + host)
            var agent: ChildProcess?
            if options.runsApart {
                let link = ["agent", "--server", "http://127.0.0.1:\(vedette.port)", "--data", scratch.file("agent")]
                agent = try ChildProcess(VedetteProcess.binary, link + host, logPath: scratch.file("agent.log"))
            }
            return HealingStage(scratch, engine, provider, vedette, agent)
        } catch {
            await engine.stop()
            provider.stop()
            throw error
        }
    }

    /// Writes the remedy anew with another mode, for a reload.
    package func setMode(_ mode: String) throws {
        var options = Options()
        options.mode = mode
        try scratch.write("rules/restart.remedy.yml", HealingStage.remedy(options))
    }

    private init(
        _ scratch: ScratchFolder, _ engine: DockerEngine, _ provider: WebhookProvider, _ vedette: VedetteProcess,
        _ agent: ChildProcess?
    ) {
        self.scratch = scratch
        self.engine = engine
        self.provider = provider
        self.vedette = vedette
        self.agent = agent
    }

    /// Ends all of it and removes its traces.
    package func strike() async {
        await agent?.stop()
        await vedette.stop()
        await engine.stop()
        provider.stop()
        scratch.remove()
    }

    /// A service that says its last words without a line end, asks for more memory than it may have, and behaves after
    /// a restart. It waits for the file /go, so that a test decides when.
    package static let leakingScript = """
        if [ -e /done ]; then echo recovered; while :; do sleep 1; done; fi
        echo started; while [ ! -e /go ]; do sleep 0.05; done
        touch /done; printf 'last words: leaking'; x=a; while :; do x=$x$x; done
        """

    private static let rules = """
        groups:
          - name: containers
            interval: 1s
            rules:
              - alert: ContainerOOMKilled
                expr: increase(container_oom_events_total{name!=""}[\(Int(ruleWindowSeconds))s]) > 0
                labels:
                  severity: critical
                annotations:
                  summary: '{{ $labels.name }} was OOM-killed on {{ $labels.node }} ({{ $value | humanize }})'
        """

    private static func remedy(_ options: Options) -> String {
        """
        remedies:
          - name: restart-after-oom
            match:
              - alertname="ContainerOOMKilled"
            action: container.restart
            arguments: {grace: 5}
            mode: \(options.mode)
            cooldown: \(options.cooldown)
            budget:
              rule: 100/1h
              service: 100/1h
              cluster: 100/1h
            evidence:
              lines: 50
              window: 5m
            verify:
              within: 60s
        """
    }

    private static func configuration(_ provider: WebhookProvider) -> String {
        """
        alerting:
          route:
            receiver: chat
            group_by: [alertname, name]
            group_wait: 5s
            group_interval: 1s
            repeat_interval: 1h
          receivers:
            - name: chat
              webhook_configs:
                - url: \(provider.url)
                  send_resolved: true
        """
    }

    private static func allowList(_ options: Options) -> String {
        """
        actions:
          - action: container.restart
            targets:
              - name: "\(options.allowed)"
            limit: 100/1h
        """
    }
}
