internal import ArgumentParser
internal import Glibc

/// The command line of the one binary: what can be asked of it, and how wrong usage is answered.
@main
struct VedetteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vedette",
        abstract: "Sees containers and hosts, keeps what they say, tells who must know, heals what it may.",
        discussion: """
            Begin with `vedette up`, which runs server and agent in one process on this host.
            Every other command asks a running server, by default http://127.0.0.1:9797.

            Exit status: 0 for success, 1 when what was asked for failed, 2 for wrong usage.
            """,
        version: ProductVersion.text,
        subcommands: subcommands
    )

    /// The only place a subcommand is listed.
    static let subcommands: [any ParsableCommand.Type] = [
        UpCommand.self,
        ServerCommand.self,
        AgentCommand.self,
        AgentsCommand.self,
        EnrollCommand.self,
        QueryCommand.self,
        LogsCommand.self,
        AlertsCommand.self,
        SilencesCommand.self,
        RulesCommand.self,
        RemediesCommand.self,
        AuditCommand.self,
        ConfigCommand.self,
        InspectCommand.self,
        TestCommand.self,
        BenchCommand.self,
    ]

    /// Runs the command. ArgumentParser's own entry would exit with 64 on wrong usage; ours is 2.
    static func main() async {
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let failure as CommandFailure {
            Terminal.error(failure.description)
            Glibc.exit(failure.status)
        } catch {
            exit(for: error)
        }
    }

    private static func exit(for error: any Error) -> Never {
        let code = exitCode(for: error)
        let text = fullMessage(for: error)
        if code == .success {
            Terminal.write(text + "\n")
            Glibc.exit(0)
        }
        // ArgumentParser puts "Error: " before everything it does not know.
        let isUsage = code == .validationFailure
        if !text.isEmpty { Terminal.error(isUsage ? text : message(for: error), prefix: isUsage ? "" : "error: ") }
        Glibc.exit(code == .validationFailure ? 2 : 1)
    }
}

/// What was asked for could not be done: one message that says what, where and what to do.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String
    /// The exit status: 1, or 2 where the command itself was written wrongly.
    private(set) var status: Int32 = 1
    /// Whether asking again would give the same answer.
    var isFinal = false

    /// A failure in words.
    init(_ description: String, isFinal: Bool = false) {
        self.description = description
        self.isFinal = isFinal
    }

    /// A value of an option or argument that cannot be meant.
    static func wrongUsage(_ description: String) -> CommandFailure {
        var failure = CommandFailure(description, isFinal: true)
        failure.status = 2
        return failure
    }
}
