internal import ArgumentParser

/// `vedette logs`: what containers and hosts wrote.
struct LogsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs",
        abstract: "Search, follow, count and compare what containers wrote.",
        subcommands: subcommands,
        defaultSubcommand: LogsSearchCommand.self)

    /// The only place a subcommand is listed.
    static let subcommands: [any ParsableCommand.Type] = [
        LogsSearchCommand.self,
        LogsTailCommand.self,
        LogsContextCommand.self,
        LogsPatternsCommand.self,
        LogsDiffCommand.self,
        LogsStatsCommand.self,
        LogsCanaryCommand.self,
    ]
}
