internal import Alerting
internal import ArgumentParser
internal import Telemetry
internal import Wire

/// `vedette silences`: keep people from being told of some alerts for a while.
struct SilencesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "silences",
        abstract: "Silences: list, add, end.",
        subcommands: [SilencesListCommand.self, SilencesAddCommand.self, SilencesEndCommand.self],
        defaultSubcommand: SilencesListCommand.self)
}

/// `vedette silences list`.
struct SilencesListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List silences that hold or will, newest first.")

    @Flag(name: .long, help: "List those that have ended, too; they are kept for five days.")
    var all = false

    @OptionGroup var client: ClientOptions

    func run() async throws {
        let silences = (try await ServerClient(client).data("/api/v1/silences").elements ?? [])
            .filter { all || $0["status"]?["state"]?.text != "expired" }
        if client.output == .json {
            Terminal.write(JSONValue.array(silences).encoded + [UInt8(ascii: "\n")])
            return
        }
        var table = TextTable(["id", "state", "until", "alerts with", "by", "comment"])
        for silence in silences {
            let matchers = (silence["matchers"]?.elements ?? []).map { SilencesListCommand.words(of: $0) }
            table.append([
                silence["id"]?.text ?? "", silence["status"]?["state"]?.text ?? "", silence["endsAt"]?.text ?? "",
                matchers.joined(separator: ", "), silence["createdBy"]?.text ?? "", silence["comment"]?.text ?? "",
            ])
        }
        Terminal.write(table.isEmpty ? "no silences\n" : table.render())
    }

    private static func words(of matcher: JSONValue) -> String {
        let isRegex = matcher["isRegex"]?.truth ?? false
        let operation = matcher["isEqual"]?.truth ?? true ? (isRegex ? "=~" : "=") : (isRegex ? "!~" : "!=")
        return "\(matcher["name"]?.text ?? "")\(operation)\(QuotedText.quoted(matcher["value"]?.text ?? ""))"
    }
}

/// `vedette silences add`.
struct SilencesAddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Tell nobody of alerts with these labels for a while (permission silence).",
        discussion: """
            The alerts go on, remedies act as before; only messages are held back. Prints the silence's id.

            Examples:
              vedette silences add alertname=ContainerOOMKilled node=web-1 --for 2h --comment 'bad deploy, rolling back'
              vedette silences add 'service=~"shop-.*"' --for 30m --comment 'planned restart'
            """)

    @Argument(help: "Matchers: label=value, with one of = != =~ !~; an alert must match all of them.")
    var matchers: [String]

    @Option(name: [.customLong("for"), .long], help: "How long, for example 2h.")
    var duration: String

    @Option(name: .long, help: "Why, for the next one on duty and for the audit log.")
    var comment: String

    @Option(name: .long, help: "Who makes it. Default: $USER.")
    var author: String?

    @OptionGroup var client: ClientOptions

    func run() async throws {
        let milliseconds = try TimeArgument.duration(duration, option: "--for")
        var parsed: [LabelMatcher] = []
        for text in matchers {
            do {
                parsed += try MatcherText.matchers(text)
            } catch {
                throw CommandFailure.wrongUsage("\(error)")
            }
        }
        let end = SystemWallClock().nowNanoseconds / 1_000_000 + milliseconds
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("matchers")
        writer.beginArray()
        for matcher in parsed { SilencesAddCommand.write(matcher, &writer) }
        writer.endArray()
        writer.member("endsAt", Timestamps.rfc3339(milliseconds: end))
        if let author = author ?? ServerClient.environment("USER") { writer.member("createdBy", author) }
        writer.member("comment", comment)
        writer.endObject()
        let data = try await ServerClient(client).data("/api/v1/silences", posting: writer.bytes)
        if client.output == .json {
            Terminal.write(data.encoded + [UInt8(ascii: "\n")])
        } else {
            Terminal.write("\(data["silenceID"]?.text ?? "")\n")
        }
    }

    private static func write(_ matcher: LabelMatcher, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("name", matcher.name)
        writer.member("value", matcher.value)
        writer.member("isRegex", [.matchesRegex, .notMatchesRegex].contains(matcher.operation))
        writer.member("isEqual", [.equal, .matchesRegex].contains(matcher.operation))
        writer.endObject()
    }
}

/// `vedette silences end`.
struct SilencesEndCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "end", abstract: "End a silence now (permission silence).")

    @Argument(help: "The silence's id, from `vedette silences`.")
    var silence: String

    @OptionGroup var client: ClientOptions

    func run() async throws {
        _ = try await ServerClient(client).json(
            "/api/v1/silences/\(PercentCoding.encode(silence))", method: "DELETE")
        Terminal.write("ended \(silence)\n")
    }
}
