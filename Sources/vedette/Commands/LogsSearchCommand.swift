internal import ArgumentParser
internal import Telemetry

/// `vedette logs search`: lines with a text, newest last.
struct LogsSearchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "search",
        abstract: "Lines that contain a text, newest last.",
        discussion: """
            Texts are looked for anywhere in a line; a line must contain all of them. A stack trace counts as one event:
            it is found when any of its lines match, and shown whole.

            Examples:
              vedette logs search --container api timeout
              vedette logs search '{service="api"}' -e 'status=5\\d\\d' --since 2h -C 3
              vedette logs search --container api -c error
              vedette logs search --level error --by container,level
              vedette logs search timeout --by time

            On a terminal the newest 1000 lines are shown; into a pipe go all of them, as they are found.
            """)

    @OptionGroup var filter: LogFilterOptions

    @OptionGroup var span: LogSpanOptions

    @Flag(name: .shortAndLong, help: "Print the number of lines only.")
    var count = false

    @Option(name: .shortAndLong, help: "At most this many lines, the newest ones; 0 for all.")
    var maximum: Int?

    @Option(name: [.customShort("A"), .long], help: "Lines of the same stream behind each hit.")
    var after = 0

    @Option(name: [.customShort("B"), .long], help: "Lines of the same stream before each hit.")
    var before = 0

    @Option(name: [.customShort("C"), .long], help: "Lines of the same stream around each hit.")
    var context: Int?

    @Option(name: .long, help: "Count by labels (container,level) with a bar over time each, or by time.")
    var by: String?

    @Flag(
        inversion: .prefixedNo,
        help: "Whether a stack trace is one event. Default: with -o text on a terminal.")
    var events: Bool?

    @OptionGroup var connection: ConnectionOptions

    @Option(name: [.short, .long], help: "How to print lines: text, json or raw.")
    var output: LineFormat = .text

    func validate() throws {
        if let maximum, maximum < 0 { throw ValidationError("-m must be 0 or more") }
        if before < 0 || after < 0 || context ?? 0 < 0 { throw ValidationError("-A, -B and -C must be 0 or more") }
    }

    func run() async throws {
        let server = try ServerClient(connection)
        let range = try span.range(now: SystemWallClock().nowNanoseconds)
        if let by {
            let counts = LogCounts(server: server, query: filter.query, range: range)
            try await counts.print(by: by.split(separator: ",").map(String.init), isJSON: output == .json)
            return
        }
        if count {
            let total = try await LogCounts(server: server, query: filter.query, range: range).total()
            Terminal.write("\(total)\n")
            return
        }
        let joins = events ?? (output == .text && Terminal.isInteractive)
        let (query, filters) = joins ? filter.eventQuery : (filter.query, "")
        let limit = maximum ?? (Terminal.isInteractive ? 1_000 : 0)
        var parameters = [("query", query)] + range.parameters
        if limit > 0 { parameters.append(("limit", "\(limit)")) }
        for (name, lines) in [("before", context ?? before), ("after", context ?? after)] where lines > 0 {
            parameters.append((name, "\(lines)"))
        }
        if joins { parameters.append(("events", "true")) }
        if !filters.isEmpty { parameters.append(("event_filter", filters)) }
        var reader = LineReader(try await server.open("/api/v1/logs/lines", parameters, method: "POST"))
        var lines = LineOutput(output, highlight: filter.highlight)
        let summary = try await reader.read(
            show: { lines.add($0) }, gap: { lines.addGap() }, pause: { lines.flush() })
        summary.note(limit: limit > 0 ? limit : nil)
        if summary.lines == 0 {
            let hints = await EmptyAnswerHint(server: server).lines(labels: filter.labels, range: range)
            for hint in hints { Terminal.note(hint) }
        }
    }
}
