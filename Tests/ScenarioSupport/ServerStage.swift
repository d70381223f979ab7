internal import Foundation

/// A server with rules and webhook listeners, without containers: the stage for troubles of the server itself.
package final class ServerStage: @unchecked Sendable {
    package let scratch: ScratchFolder
    /// The listeners behind the receivers `chat0`, `chat1`, …; every alert goes to each of them.
    package let providers: [WebhookProvider]
    package let vedette: VedetteProcess

    /// How the stage differs from the usual one.
    package struct Options: Sendable {
        /// `server`, or `up` where the host's own metrics are wanted.
        package var command = "server"
        /// Rule and remedy files by name.
        package var rules: [String: String] = [:]
        /// What each provider does with its first requests; one provider for each element.
        package var providerScripts: [[WebhookProvider.Behaviour]] = [[]]
        /// Where the data lies; a folder of the stage's own where empty.
        package var dataFolder = ""
        package var arguments: [String] = []

        /// The usual stage.
        package init() {}
    }

    /// How long a receiver may take to answer.
    package static let receiverTimeoutSeconds = 2

    /// Starts all of it.
    package static func set(_ name: String, _ options: Options = Options()) async throws -> ServerStage {
        let scratch = try ScratchFolder(name)
        let providers = try options.providerScripts.map { try WebhookProvider(script: $0) }
        for (file, text) in options.rules { try scratch.write("rules/\(file)", text) }
        try FileManager.default.createDirectory(
            atPath: scratch.file("rules"), withIntermediateDirectories: true)
        try scratch.write("vedette.yml", configuration(providers))
        var arguments = ["--rules", scratch.file("rules"), "--config", scratch.file("vedette.yml")]
        // `up` is to find no engine, whatever runs on this host.
        if options.command == "up" { arguments += ["--docker", "unix://\(scratch.file("none.sock"))"] }
        do {
            let vedette = try await VedetteProcess(
                options.command, dataFolder: options.dataFolder.isEmpty ? scratch.file("data") : options.dataFolder,
                arguments: arguments + options.arguments, logPath: scratch.file("vedette.log"))
            return ServerStage(scratch, providers, vedette)
        } catch {
            for provider in providers { provider.stop() }
            scratch.remove()
            throw error
        }
    }

    private init(_ scratch: ScratchFolder, _ providers: [WebhookProvider], _ vedette: VedetteProcess) {
        self.scratch = scratch
        self.providers = providers
        self.vedette = vedette
    }

    /// Ends all of it and removes its traces.
    package func strike() async {
        await vedette.stop()
        for provider in providers { provider.stop() }
        scratch.remove()
    }

    /// Plays a story on a stage, and shows the server's last words when it breaks off.
    package static func play(
        _ name: String, _ options: Options = Options(), _ story: (ServerStage) async throws -> Void
    ) async throws {
        let stage = try await set(name, options)
        do {
            try await story(stage)
        } catch {
            let output = stage.vedette.process.output.suffix(3_000)
            await stage.strike()
            throw ScenarioError("\(error)\n\(output)")
        }
        await stage.strike()
    }

    /// A rule file with one alert that fires at once.
    package static func alwaysFiring(_ alert: String) -> String {
        """
        groups:
          - name: \(alert)
            interval: 1s
            rules:
              - alert: \(alert)
                expr: vector(1)
        """
    }

    private static func configuration(_ providers: [WebhookProvider]) -> String {
        let names = providers.indices.map { "chat\($0)" }
        let routes = names.map { "      - receiver: \($0)\n        continue: true" }
        let receivers = zip(names, providers).map { name, provider in
            """
                - name: \(name)
                  webhook_configs:
                    - url: \(provider.url)
                      timeout: \(receiverTimeoutSeconds)s
            """
        }
        return """
            alerting:
              route:
                receiver: \(names.first ?? "chat0")
                group_by: [alertname]
                group_wait: 0s
                group_interval: 1s
                repeat_interval: 1h
                routes:
            \(routes.joined(separator: "\n"))
              receivers:
            \(receivers.joined(separator: "\n"))
            """
    }
}
