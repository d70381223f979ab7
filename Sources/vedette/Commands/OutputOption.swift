internal import ArgumentParser

/// `-o table|json`: for people, or stable for programs.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case table
    case json
}

/// Where the server is: the options of everything that asks one.
struct ConnectionOptions: ParsableArguments {
    @Option(
        name: .long,
        help: "The server's address. Default: $VEDETTE_SERVER, or http://127.0.0.1:9797.")
    var server: String?

    @Option(name: .long, help: "A file that holds the access token. Default: $VEDETTE_TOKEN_FILE.")
    var tokenFile: String?

    @Option(
        name: .long,
        help: "Authorities to believe instead of the system's, PEM. Default: $VEDETTE_CA_FILE.")
    var caFile: String?
}

/// Where the server is and how the answer is printed: the options that every asking command shares.
struct ClientOptions: ParsableArguments {
    @OptionGroup var connection: ConnectionOptions

    @Option(name: [.short, .long], help: "How to print the answer: table or json.")
    var output: OutputFormat = .table
}
