internal import ArgumentParser
internal import Query
internal import Telemetry

/// `vedette logs patterns`: what lines look like, and how many there are of each kind.
struct LogsPatternsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "patterns",
        abstract: "Count lines by their pattern: exact counts over the whole range.",
        discussion: """
            What changes from line to line (numbers, times, identifiers) is shown as <_>. A pattern can be used as is:
            vedette logs search '{container="api"} |> "<pattern>"'.

            Examples:
              vedette logs patterns --container api --since 1h
              vedette logs patterns --level error --examples
            """)

    @OptionGroup var filter: LogFilterOptions

    @OptionGroup var span: LogSpanOptions

    @Option(name: .shortAndLong, help: "At most this many patterns; 0 for all.")
    var maximum = 40

    @Flag(name: .long, help: "Show a line of each.")
    var examples = false

    @OptionGroup var client: ClientOptions

    func run() async throws {
        let server = try ServerClient(client)
        let range = try span.range(now: SystemWallClock().nowNanoseconds)
        let data = try await PatternList.ask(server, filter.query, range, buckets: 24)
        if client.output == .json {
            Terminal.write(data.encoded + [UInt8(ascii: "\n")])
            return
        }
        let patterns = data["patterns"]?.elements ?? []
        let all = Double(data["lines"]?.wholeNumber ?? 0)
        let shown = maximum == 0 ? patterns[...] : patterns.prefix(maximum)
        var table = TextTable(
            ["lines", "share", "over time", "level", "pattern"], alignments: [.right, .right])
        for pattern in shown {
            let lines = pattern["lines"]?.double ?? 0
            let counts = (pattern["counts"]?.elements ?? []).map { $0.double ?? 0 }
            table.append([
                FloatText.plain(lines), FloatText.plain((lines / max(1, all) * 1_000).rounded() / 10) + "%",
                Sparkline.text(counts), pattern["level"]?.text ?? "",
                TerminalText.plain(pattern["pattern"]?.text ?? ""),
            ])
            if examples {
                let example = TerminalText.plain(pattern["example"]?["line"]?.text ?? "")
                table.append(["", "", "", "", "  e.g. \(example)"])
            }
        }
        if !table.isEmpty { Terminal.write(table.render()) }
        var note = "\(patterns.count) patterns of \(FloatText.plain(all)) lines"
        if shown.count < patterns.count { note += ", \(shown.count) shown (-m 0 for all)" }
        if let other = data["otherLines"]?.wholeNumber, other > 0 {
            note += ", \(other) lines of patterns beyond counting"
        }
        Terminal.note(note)
    }
}

/// Asks for the patterns of a span.
enum PatternList {
    /// The server's answer: `lines`, `patterns` and what each is made of.
    static func ask(
        _ server: ServerClient, _ query: String, _ range: LogTimeRange, buckets: Int64, countsBytes: Bool = false
    ) async throws -> JSONValue {
        let milliseconds = max(1, (range.endNanoseconds - range.startNanoseconds) / 1_000_000)
        let step = Timestamps.seconds(milliseconds: max(1, (milliseconds + buckets - 1) / buckets))
        return try await server.data(
            "/api/v1/logs/patterns",
            [("query", query), ("step", step), ("bytes", "\(countsBytes)")] + range.parameters,
            method: "POST")
    }

    /// The answer as counts.
    static func counts(_ data: JSONValue) -> [PatternDifference.Count] {
        (data["patterns"]?.elements ?? []).map { pattern in
            PatternDifference.Count(
                pattern: pattern["pattern"]?.text ?? "", severity: Severity(word: pattern["level"]?.text ?? ""),
                lines: Int(pattern["lines"]?.wholeNumber ?? 0), example: pattern["example"]?["line"]?.text ?? "")
        }
    }
}
