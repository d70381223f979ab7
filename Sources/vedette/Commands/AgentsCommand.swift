internal import ArgumentParser
internal import Telemetry
internal import Wire

/// `vedette agents`: who sends to a server, and who may not any more.
struct AgentsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agents",
        abstract: "Agents of a server: list them, revoke one.",
        subcommands: [AgentsListCommand.self, AgentsRevokeCommand.self],
        defaultSubcommand: AgentsListCommand.self)
}

/// `vedette agents list`.
struct AgentsListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List agents, and how they are enrolled.")

    @OptionGroup var client: ClientOptions

    func run() async throws {
        let data = try await ServerClient(client).data("/api/v1/agents")
        if client.output == .json {
            Terminal.write(data.encoded + [UInt8(ascii: "\n")])
            return
        }
        var table = TextTable(["node", "agent", "state", "last seen", "clock", "certificate ends", "remarks"])
        for agent in data["agents"]?.elements ?? [] {
            let seen = agent["secondsSinceLastSeen"]?.double.map { "\(Int64($0)) s ago" } ?? "not since the start"
            let offset = agent["clockOffsetSeconds"]?.double.map { "\(Int64(($0 * 1_000).rounded())) ms" } ?? ""
            let revoked = agent["revokedAt"]?.text.map { "revoked at \($0) by \(agent["revokedBy"]?.text ?? "")" }
            let remarks = [revoked, agent["conflict"]?.text].compactMap(\.self).joined(separator: "; ")
            table.append([
                agent["node"]?.text ?? "", agent["agent"]?.text ?? "", agent["state"]?.text ?? "", seen, offset,
                agent["certificateEnds"]?.text ?? "", remarks,
            ])
        }
        Terminal.write(table.isEmpty ? "no agents\n" : table.render())
    }
}

/// `vedette agents revoke`.
struct AgentsRevokeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke",
        abstract: "Shut an agent out for ever, at once (permission admin).")

    @Argument(help: "The agent's identity, from `vedette agents list`.")
    var agent: String

    @OptionGroup var client: ClientOptions

    func run() async throws {
        _ = try await ServerClient(client)
            .json("/api/v1/agents/\(PercentCoding.encode(agent))/revoke", method: "POST")
        Terminal.write("revoked \(agent): nothing is taken from it any more\n")
    }
}
