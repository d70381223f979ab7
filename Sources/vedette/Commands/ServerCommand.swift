internal import ArgumentParser

/// `vedette server`: stores, queries, rules and remedies, for agents elsewhere.
struct ServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "server",
        abstract: "Store, query, alert and heal for agents on other hosts.")

    @OptionGroup var options: ServerArguments

    func run() async throws {
        try await Composition.runServer(options, host: nil)
    }
}

/// `vedette up`: server and agent in one process.
struct UpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "Server and agent in one process, for this host.")

    @OptionGroup var options: ServerArguments
    @OptionGroup var host: HostArguments

    func run() async throws {
        try await Composition.runServer(options, host: host)
    }
}

/// The options of a process that stores. What can be reloaded is in the configuration file, not here.
struct ServerArguments: ParsableArguments {
    @Option(name: .long, help: "The data folder.")
    var data = "./vedette-data"

    @Option(name: .long, help: "Where to listen, HOST:PORT; port 0 picks one, which is written to DATA/address.")
    var listen = "127.0.0.1:9797"

    @Option(name: .long, help: "A folder of rule files (*.yml) and remedies (*.remedy.yml).")
    var rules: String?

    @Option(name: .long, help: "The configuration file (YAML; docs/configuration.md).")
    var config: String?

    @Option(name: .long, help: "How long samples are kept, for example 90d; 0 keeps them for ever.")
    var retentionMetrics: String?

    @Option(name: .long, help: "How long lines are kept, for example 30d; 0 keeps them for ever.")
    var retentionLogs: String?

    @Option(
        name: .long, help: "The most memory the process may use, for example 2GiB. Default: 60 % of its cgroup's limit."
    )
    var memory: String?

    @Flag(name: .long, help: "Listen on other than loopback without TLS and a token.")
    var insecure = false
}
