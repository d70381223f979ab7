internal import ArgumentParser
internal import Telemetry

/// `vedette remedies`: what may be done by itself, and what was done.
struct RemediesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remedies",
        abstract: "Remedies and what they did.",
        subcommands: [
            RemediesListCommand.self, RemediesHistoryCommand.self, RemediesApproveCommand.self,
            RemediesPauseCommand.self,
        ],
        defaultSubcommand: RemediesListCommand.self)
}

/// `vedette remedies list`.
struct RemediesListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List remedies and their state.")

    @OptionGroup var client: ClientOptions

    func run() async throws {
        let data = try await ServerClient(client).data("/api/v1/remedies")
        if client.output == .json {
            Terminal.write(data.encoded + [UInt8(ascii: "\n")])
            return
        }
        var table = TextTable(["remedy", "action", "mode", "state", "match"])
        for remedy in data["remedies"]?.elements ?? [] {
            let match = (remedy["match"]?.elements ?? []).compactMap(\.text).joined(separator: ", ")
            table.append([
                remedy["name"]?.text ?? "", remedy["action"]?.text ?? "", remedy["mode"]?.text ?? "",
                remedy["state"]?.text ?? "", match,
            ])
        }
        Terminal.write(table.isEmpty ? "no remedies\n" : table.render())
    }
}

/// `vedette remedies history`.
struct RemediesHistoryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "history", abstract: "List actions, newest first.")

    @OptionGroup var client: ClientOptions

    func run() async throws {
        let data = try await ServerClient(client).data("/api/v1/remedies/history")
        if client.output == .json {
            Terminal.write(data.encoded + [UInt8(ascii: "\n")])
            return
        }
        var table = TextTable(["id", "proposed", "remedy", "action", "target", "state", "reason"])
        for action in data["actions"]?.elements ?? [] {
            table.append([
                action["id"]?.text ?? "", action["proposedAt"]?.text ?? "", action["remedy"]?.text ?? "",
                action["action"]?.text ?? "", String((action["target"]?.text ?? "").prefix(12)),
                action["state"]?.text ?? "", action["reason"]?.text ?? "",
            ])
        }
        Terminal.write(table.isEmpty ? "no actions\n" : table.render())
    }
}

/// `vedette remedies approve`.
struct RemediesApproveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "approve", abstract: "Let an action go ahead that waits for approval.")

    @Argument(help: "The action's id, from `vedette remedies history`.")
    var action: String

    @OptionGroup var client: ClientOptions

    func run() async throws {
        _ = try await ServerClient(client).json("/api/v1/remedies/\(action)/approve", method: "POST")
        Terminal.write("approved \(action)\n")
    }
}

/// `vedette remedies pause`.
struct RemediesPauseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Stop a remedy from acting, or let it act again.")

    @Argument(help: "The remedy's name.")
    var remedy: String

    @Flag(name: .long, help: "Let it act again.")
    var resume = false

    @OptionGroup var client: ClientOptions

    func run() async throws {
        let parameters = [("paused", resume ? "false" : "true")]
        _ = try await ServerClient(client).json("/api/v1/remedies/\(remedy)/pause", parameters, method: "POST")
        Terminal.write("\(resume ? "resumed" : "paused") \(remedy)\n")
    }
}
