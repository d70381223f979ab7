internal import ArgumentParser
internal import Telemetry

/// `vedette logs tail`: lines as they arrive.
struct LogsTailCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail",
        abstract: "Follow lines as they arrive, from all nodes, in the order of their times.",
        discussion: """
            Goes on where it was when the server was restarted, and when containers rotate their logs. When lines were
            missed they are fetched; where that fails, it is said how many and of which time.

            Examples:
              vedette logs tail --container api
              vedette logs tail --level error
              vedette logs tail --container api panic --jump
            """)

    @OptionGroup var filter: LogFilterOptions

    @Option(name: [.customShort("n"), .long], help: "Show this many lines that were there before.")
    var lines = 10

    @Option(name: .long, help: "Show lines since: a duration ago, RFC 3339 or seconds since 1970.")
    var since: String?

    @Flag(name: .long, help: "At the first hit, show what its stream wrote around it, and follow that stream whole.")
    var jump = false

    @Option(name: [.customShort("C"), .long], help: "With --jump: lines before the hit.")
    var context = 20

    @OptionGroup var connection: ConnectionOptions

    @Option(name: [.short, .long], help: "How to print lines: text, json or raw.")
    var output: LineFormat = .text

    func validate() throws {
        if lines < 0 || context < 0 { throw ValidationError("numbers of lines must be 0 or more") }
    }

    func run() async throws {
        let server = try ServerClient(connection)
        let now = SystemWallClock().nowNanoseconds
        let start = try since.map { try TimeArgument.nanoseconds($0, option: "--since", now: now) }
        var printed = LineOutput(output, highlight: filter.highlight)
        guard jump else {
            var session = TailSession(
                server: server, query: filter.query, linesBefore: start == nil ? lines : max(lines, 100_000),
                start: start)
            try await session.follow { event in
                LogsTailCommand.show(event, &printed)
                return true
            }
            return
        }
        var hit: FoundLine?
        var waiting = TailSession(server: server, query: filter.query, linesBefore: 0, start: nil)
        try await waiting.follow { event in
            if case .lines(let lines) = event { hit = lines.first }
            return hit == nil
        }
        guard let hit else { return }
        try await show(around: hit, server, &printed)
        let selector = LogsTailCommand.selector(of: hit.labels)
        var session = TailSession(server: server, query: selector, linesBefore: 0, start: nil)
        try await session.follow { event in
            LogsTailCommand.show(event, &printed)
            return true
        }
    }

    private func show(around hit: FoundLine, _ server: ServerClient, _ printed: inout LineOutput) async throws {
        let parameters = [
            ("query", LogsTailCommand.selector(of: hit.labels)), ("time", "\(hit.nanoseconds)"),
            ("before", "\(context)"), ("after", "\(context)"),
        ]
        var reader = LineReader(try await server.open("/api/v1/logs/context", parameters, method: "POST"))
        _ = try await reader.read(show: { printed.add($0) })
        printed.flush()
    }

    /// What names a stream: what stages took from its lines is no part of it.
    private static func selector(of labels: Labels) -> String {
        let own = labels.pairs.filter { $0.name != "detected_level" && !$0.name.hasPrefix("__") }
        return "{\(own.map { "\($0.name)=\(QuotedText.quoted($0.value))" }.joined(separator: ", "))}"
    }

    private static func show(_ event: TailSession.Event, _ printed: inout LineOutput) {
        switch event {
        case .lines(let lines):
            for line in lines { printed.add(line) }
            printed.flush()
        case .missed(let lines, let range, let reason):
            let start = Timestamps.rfc3339(nanoseconds: range.startNanoseconds)
            let end = Timestamps.rfc3339(nanoseconds: range.endNanoseconds)
            Terminal.note(
                "\(lines) lines from \(start) to \(end) came too fast to be shown and could not be read (\(reason)); "
                    + "vedette logs search --since \(start) --until \(end) has them")
        case .lost(let reason): Terminal.note("the server went away (\(reason)); waiting for it")
        case .back: Terminal.note("the server is there again; going on where it was")
        }
    }
}
