internal import Agent
internal import ArgumentParser
internal import Disk
internal import Glibc
internal import Telemetry
internal import Transport
internal import Wire

/// `vedette enroll`: lets nodes join a server.
struct EnrollCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enroll",
        abstract: "Join this node to a server, or make the token that lets one join.",
        discussion: """
            On the server:   vedette enroll token
            On the node:     vedette enroll --server HOST:PORT --token TOKEN --data FOLDER
                             vedette agent --data FOLDER
            """,
        subcommands: [EnrollNodeCommand.self, EnrollTokenCommand.self, EnrollTokensCommand.self],
        defaultSubcommand: EnrollNodeCommand.self)
}

/// `vedette enroll node`, which is also what `vedette enroll` does.
struct EnrollNodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node", abstract: "Join this node to a server.")

    @Option(name: .long, help: "The server, HOST:PORT; one of the names of its certificate.")
    var server: String

    @Option(name: .long, help: "The join token, or - to read it from standard input.")
    var token: String

    @Option(name: .long, help: "The agent's data folder.")
    var data = "./vedette-agent"

    @Option(name: .long, help: "The node's name in the server's list. Default: the host's name.")
    var node: String?

    @Flag(name: .long, help: "Enroll again although the node has a certificate that holds.")
    var force = false

    func run() async throws {
        let endpoint: HTTPEndpoint
        let joinToken: JoinToken
        do {
            endpoint = try HTTPEndpoint.parse(server.contains("://") ? server : "https://\(server)")
        } catch {
            throw CommandFailure.wrongUsage("--server \(server): \(error)")
        }
        let enroller = Enroller(
            folder: data, node: node ?? EnrollNodeCommand.hostName, storage: SystemStorage(),
            wallClock: SystemWallClock(), connect: { HTTPClient(tlsProfiles: $0) })
        if !force, let present = try enroller.present() {
            let end = Timestamps.rfc3339(nanoseconds: present.standing.validity.endNanoseconds)
            Terminal.write(
                "this node is enrolled already: agent \(present.agent) at \(present.server) until \(end)\n")
            return
        }
        do {
            joinToken = try JoinToken(parsing: token == "-" ? readLine() ?? "" : token)
        } catch {
            throw CommandFailure.wrongUsage("--token: \(error)")
        }
        do {
            let enrolment = try await enroller.enroll(server: endpoint, token: joinToken)
            enroller.handOver()
            let end = Timestamps.rfc3339(nanoseconds: enrolment.standing.validity.endNanoseconds)
            Terminal.write(
                """
                enrolled: agent \(enrolment.agent) at \(enrolment.server)
                the certificate holds until \(end) and is renewed by the agent

                """)
        } catch let failure as EnrolmentFailure {
            throw CommandFailure(failure.description, isFinal: failure.isFinal)
        } catch {
            throw CommandFailure("this node was not enrolled: \(error)")
        }
    }

    private static var hostName: String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// `vedette enroll token`.
struct EnrollTokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Make a token that lets a node join (permission admin).")

    @Option(name: .long, help: "How long it is good for, for example 15m; at most 30d.")
    var lifetime = "1h"

    @Option(name: .long, help: "How many nodes it lets in.")
    var uses = 1

    @OptionGroup var client: ClientOptions

    func run() async throws {
        let asked = [("lifetime", lifetime), ("uses", "\(uses)")]
        let answer = try await ServerClient(client).json("/api/v1/enrolment/tokens", asked, method: "POST")
        let data = answer["data"] ?? .null
        if client.output == .json {
            Terminal.write(data.encoded + [UInt8(ascii: "\n")])
            return
        }
        // The token alone goes to standard output, so that a script can carry it.
        Terminal.note("token \(data["id"]?.text ?? ""), good for \(uses) until \(data["ends"]?.text ?? ""):")
        Terminal.write("\(data["token"]?.text ?? "")\n")
    }
}

/// `vedette enroll tokens`.
struct EnrollTokensCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokens", abstract: "List join tokens, or take one back (permission admin).")

    @Option(name: .long, help: "Take back the token of this id.")
    var remove: String?

    @OptionGroup var client: ClientOptions

    func run() async throws {
        let server = try ServerClient(client)
        if let remove {
            _ = try await server.json("/api/v1/enrolment/tokens/\(PercentCoding.encode(remove))", method: "DELETE")
            Terminal.write("token \(remove) was taken back\n")
            return
        }
        let data = try await server.data("/api/v1/enrolment/tokens")
        if client.output == .json {
            Terminal.write(data.encoded + [UInt8(ascii: "\n")])
            return
        }
        var table = TextTable(["id", "ends", "used", "uses", "made by"])
        for token in data.elements ?? [] {
            table.append([
                token["id"]?.text ?? "", token["ends"]?.text ?? "", "\(token["used"]?.wholeNumber ?? 0)",
                "\(token["uses"]?.wholeNumber ?? 0)", token["creator"]?.text ?? "",
            ])
        }
        Terminal.write(table.isEmpty ? "no join tokens\n" : table.render())
    }
}
