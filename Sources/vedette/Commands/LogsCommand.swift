internal import ArgumentParser
internal import Telemetry

/// `vedette logs`: what containers and hosts wrote.
struct LogsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs",
        abstract: "Search what containers wrote.",
        subcommands: [LogsSearchCommand.self],
        defaultSubcommand: LogsSearchCommand.self)
}

/// `vedette logs search`: lines with a text, newest last.
struct LogsSearchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "search",
        abstract: "Lines that contain a text, newest last.",
        discussion: """
            Examples:
              vedette logs search --container api timeout
              vedette logs search '{service="api"}' -e 'status=5\\d\\d' --since 2h
              vedette logs search --container api -c error
            """)

    @Argument(help: "A selector in braces, then texts that a line must all contain.")
    var words: [String] = []

    @Flag(name: .short, help: "Ignore case.")
    var ignoreCase = false

    @Flag(name: .short, help: "Lines that do not contain the texts.")
    var v = false

    @Option(name: .short, help: "A regular expression (RE2) that a line must match. May be repeated.")
    var e: [String] = []

    @Flag(name: .short, help: "Print the number of lines only.")
    var count = false

    @Option(name: .short, help: "At most this many lines, the newest ones.")
    var maximum = 1_000

    @Option(name: .long, help: "From: a duration ago, RFC 3339 or seconds since 1970.")
    var since = "1h"

    @Option(name: .long, help: "Until: a duration ago, RFC 3339 or seconds since 1970.")
    var until = "now"

    @Option(name: .long, help: "Only this container.")
    var container: String?

    @Option(name: .long, help: "Only this service.")
    var service: String?

    @Option(name: .long, help: "Only this node.")
    var node: String?

    @OptionGroup var client: ClientOptions

    func validate() throws {
        if maximum < 1 { throw ValidationError("-m must be 1 or more") }
    }

    func run() async throws {
        let server = try ServerClient(client)
        let now = SystemWallClock().nowNanoseconds
        let start = try TimeArgument.nanoseconds(since, option: "--since", now: now)
        let end = try TimeArgument.nanoseconds(until, option: "--until", now: now) + 1
        var query = expression()
        if count {
            query = "sum(count_over_time(\(query)[\(max(1, (end - start) / 1_000_000))ms]))"
            let data = try await server.data(
                "/loki/api/v1/query", [("query", query), ("time", "\(end)")])
            Terminal.write((data["result"]?[0]?["value"]?[1]?.text ?? "0") + "\n")
            return
        }
        let parameters = [
            ("query", query), ("start", "\(start)"), ("end", "\(end)"), ("limit", "\(maximum)"),
            ("direction", "backward"),
        ]
        let data = try await server.data("/loki/api/v1/query_range", parameters)
        if client.output == .json {
            Terminal.write(data.encoded + [UInt8(ascii: "\n")])
            return
        }
        let lines = LogPrinter.lines(data)
        Terminal.write(LogPrinter.render(lines))
        LogPrinter.footer(data, shown: lines.count, maximum: maximum)
    }

    /// The LogQL expression that the options stand for.
    func expression() -> String {
        var texts = words
        var selector = "{source=~\".+\"}"
        if let first = words.first, first.hasPrefix("{") {
            selector = first
            texts.removeFirst()
        }
        let named = [("container", container), ("service", service), ("node", node)]
        let extra = named.compactMap { name, value in value.map { "\(name)=\(QuotedText.quoted($0))" } }
        if !extra.isEmpty {
            let inside = selector.dropFirst().dropLast()
            let isDefault = !(words.first?.hasPrefix("{") ?? false)
            selector = "{" + ((isDefault ? [] : [String(inside)]) + extra).joined(separator: ", ") + "}"
        }
        for text in texts {
            if ignoreCase {
                selector += " \(v ? "!~" : "|~") " + QuotedText.quoted("(?i)" + LogsSearchCommand.literal(text))
            } else {
                selector += " \(v ? "!=" : "|=") " + QuotedText.quoted(text)
            }
        }
        for pattern in e {
            selector += " \(v ? "!~" : "|~") " + QuotedText.quoted((ignoreCase ? "(?i)" : "") + pattern)
        }
        return selector
    }

    /// A regular expression that matches `text` and nothing else.
    private static func literal(_ text: String) -> String {
        var result = ""
        for character in text {
            if "\\.+*?()|[]{}^$".contains(character) { result += "\\" }
            result.append(character)
        }
        return result
    }
}

/// Prints lines for people: time, container, text.
enum LogPrinter {
    /// One line of an answer.
    struct Line {
        let nanoseconds: Int64
        let origin: String
        let isError: Bool
        let text: String
    }

    /// The lines of a `streams` answer, oldest first.
    static func lines(_ data: JSONValue) -> [Line] {
        var lines: [Line] = []
        for stream in data["result"]?.elements ?? [] {
            let labels = stream["stream"]
            let origin = ["container", "unit", "service", "source"].compactMap { labels?[$0]?.text }.first ?? ""
            let isError = labels?["stream"]?.text == "stderr"
            for entry in stream["values"]?.elements ?? [] {
                guard let time = entry[0]?.text.flatMap({ Int64($0) }), let text = entry[1]?.text else { continue }
                lines.append(Line(nanoseconds: time, origin: origin, isError: isError, text: text))
            }
        }
        // A stable sort: lines of one time keep the order of their stream.
        return lines.enumerated().sorted {
            ($0.element.nanoseconds, -$0.offset) < ($1.element.nanoseconds, -$1.offset)
        }.map(\.element)
    }

    /// The lines as text.
    static func render(_ lines: [Line]) -> String {
        let width = lines.map(\.origin.count).max() ?? 0
        var text = ""
        for line in lines {
            let padding = String(repeating: " ", count: width - line.origin.count)
            let time = Timestamps.rfc3339(milliseconds: line.nanoseconds / 1_000_000)
            if Terminal.isInteractive {
                let colour = line.isError ? "\u{1b}[31m" : "\u{1b}[36m"
                text += "\u{1b}[2m\(time)\u{1b}[0m \(colour)\(line.origin)\u{1b}[0m\(padding)  \(line.text)\n"
            } else {
                text += "\(time) \(line.origin)\(padding)  \(line.text)\n"
            }
        }
        return text
    }

    /// What was looked at, on standard error, so that it does not disturb a pipe.
    static func footer(_ data: JSONValue, shown: Int, maximum: Int) {
        let summary = data["stats"]?["summary"]
        let scanned = summary?["totalLinesProcessed"]?.wholeNumber ?? 0
        let bytes = summary?["totalBytesProcessed"]?.wholeNumber ?? 0
        let seconds = summary?["execTime"]?.double ?? 0
        var text = "\(shown) lines"
        if shown == maximum { text += " (the limit; -m for more)" }
        text += ", \(scanned) scanned, \(ByteSizes.binary(bytes)) in \(FloatText.plain((seconds * 1_000).rounded())) ms"
        Terminal.note(text)
    }
}
