internal import ArgumentParser

/// `vedette agent`: watches this host and sends what it sees to a server; `vedette agent status` tells how it is.
struct AgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent",
        abstract: "Watch this host and send what it sees to a server.",
        subcommands: [AgentRunCommand.self, AgentStatusCommand.self],
        defaultSubcommand: AgentRunCommand.self)
}

/// `vedette agent [run]`: the agent itself.
struct AgentRunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Watch this host and send what it sees to a server (the default).")

    @Option(name: .long, help: "The server to send to, for example http://10.0.0.5:9797.")
    var server: String

    @Option(name: .long, help: "The folder for the spool, positions and identity.")
    var data = "./vedette-agent"

    @OptionGroup var host: HostArguments

    @Option(name: .long, help: "The configuration file (YAML); only `agent` and `scrape_configs` are used.")
    var config: String?

    @Option(name: .long, help: "A file that holds the access token for the server.")
    var tokenFile: String?

    func run() async throws {
        try await Composition.runAgent(self)
    }
}

/// What an agent needs to know about its host.
struct HostArguments: ParsableArguments {
    @Option(name: .long, help: "The `node` label of what is sent. Default: the host's name.")
    var node: String?

    @Option(
        name: .long,
        help: "The Docker engine's socket. Default: $DOCKER_HOST, or unix:///var/run/docker.sock.")
    var docker: String?

    @Option(
        name: .long,
        help: """
            The allow-list of actions, owned by root and writable by nobody else, or it is refused. \
            Default: /etc/vedette/actions.yml; without it the agent only observes.
            """)
    var actions: String?

    @Option(name: .long, help: "How often metrics are read. Default: 1s.")
    var interval: String?

    @Option(
        name: .long,
        help: """
            A folder with metrics of others, files *.prom as node_exporter's textfile collector reads them. \
            Default: /var/lib/prometheus/node-exporter.
            """)
    var textfiles: String?
}
