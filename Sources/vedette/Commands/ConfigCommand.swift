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
        abstract: "Read a configuration file and say what is wrong, with line and column.",
        discussion: "Files that it names, tokens and certificates, are read too, as a start would.")

    @Argument(help: "The file.")
    var file: String

    @Flag(name: .long, help: "Leave the files that it names alone: they are on another host.")
    var syntaxOnly = false

    func run() throws {
        do {
            let configuration = try ConfigurationFile.read(file)
            _ = try NotifyConfiguration.read(configuration.alerting)
            if !syntaxOnly { try ConfigCheckCommand.readFiles(of: configuration) }
        } catch let error as ConfigurationError {
            throw CommandFailure("\(error)")
        }
        Terminal.write("\(file) is in order\n")
    }

    /// Reads what a start would read; throws all that is missing.
    private static func readFiles(of configuration: ConfigurationFile) throws {
        var mistakes: [String] = []
        func attempt(_ body: () throws -> Void) {
            do { try body() } catch { mistakes.append("\(error)") }
        }
        for token in configuration.tokens { attempt { _ = try TokenFile.read(token.file) } }
        if let tls = configuration.tls {
            let files = [
                ("certificate_file", tls.certificateFile), ("key_file", tls.keyFile), ("ca_file", tls.authorityFile),
                ("client_ca_file", tls.clientAuthorityFile),
            ]
            for case (let key, let path?) in files { attempt { _ = try TLSFiles.read(path, key) } }
        }
        guard mistakes.isEmpty else {
            throw CommandFailure(
                mistakes.joined(separator: "\n") + "\n(--syntax-only leaves the files of another host alone)")
        }
    }
}
