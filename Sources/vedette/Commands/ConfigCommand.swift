internal import Alerting
internal import ArgumentParser
internal import Wire

/// `vedette config`: the configuration file.
struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Check a configuration file.",
        subcommands: [ConfigCheckCommand.self])
}

/// `vedette config check`: reads a file as a server would, without starting one.
struct ConfigCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Read a configuration file and say what is wrong, with line and column.")

    @Argument(help: "The file.")
    var file: String

    func run() throws {
        do {
            let configuration = try ConfigurationFile.read(file)
            _ = try NotifyConfiguration.read(configuration.alerting)
        } catch let error as ConfigurationError {
            throw CommandFailure("\(error)")
        }
        Terminal.write("\(file) is in order\n")
    }
}
