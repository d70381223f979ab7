internal import ArgumentParser
internal import Telemetry

/// `vedette logs context`: what a stream wrote around one moment, whatever filters would have left out.
struct LogsContextCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "context",
        abstract: "The lines of a stream around a moment.",
        discussion: """
            The first line at or behind --at that the selector and texts match is looked for; shown is what its stream
            wrote before and behind it.

            Examples:
              vedette logs context --container api --at 2026-11-23T10:00:00.123Z
              vedette logs context --container api timeout --at 5m -C 50
            """)

    @OptionGroup var filter: LogFilterOptions

    @Option(name: .long, help: "The moment: a duration ago, RFC 3339 or seconds since 1970.")
    var at: String

    @Option(name: [.customShort("C"), .long], help: "Lines before and behind.")
    var context = 20

    @Option(name: [.customShort("A"), .long], help: "Lines behind; default: as -C.")
    var after: Int?

    @Option(name: [.customShort("B"), .long], help: "Lines before; default: as -C.")
    var before: Int?

    @OptionGroup var connection: ConnectionOptions

    @Option(name: [.short, .long], help: "How to print lines: text, json or raw.")
    var output: LineFormat = .text

    func run() async throws {
        let time = try TimeArgument.nanoseconds(at, option: "--at", now: SystemWallClock().nowNanoseconds)
        let parameters = [
            ("query", filter.query), ("time", "\(time)"), ("before", "\(before ?? context)"),
            ("after", "\(after ?? context)"),
        ]
        let server = try ServerClient(connection)
        var reader = LineReader(try await server.open("/api/v1/logs/context", parameters, method: "POST"))
        var lines = LineOutput(output, highlight: filter.highlight)
        let summary = try await reader.read(show: { lines.add($0) }, pause: { lines.flush() })
        if summary.lines == 0 { throw CommandFailure("no line matches \(filter.query)") }
    }
}
