internal import ArgumentParser
internal import Telemetry

/// How `vedette query` prints an answer.
enum QueryOutput: String, ExpressibleByArgument, CaseIterable {
    case table
    case json
    case csv
}

/// `vedette query`: PromQL at one time, or over a range.
struct QueryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "query",
        abstract: "Evaluate a PromQL expression.",
        discussion: """
            Examples:
              vedette query 'sum by (name) (rate(container_cpu_usage_seconds_total[1m]))'
              vedette query --since 1h 'node_load1'
              vedette query --since 1h --step 15s -o csv 'node_load1' > load.csv
              vedette query --watch 2s 'topk(5, container_memory_working_set_bytes)'
              vedette query --explain 'sum by (job) (rate(http_requests_total[5m]))'
              vedette query --active
              vedette query --kill 17

            Numbers are shown in the unit that names and functions tell; -o json and -o csv give them exactly.
            """)

    @Argument(help: "The expression.", completion: .custom(ExpressionCompletion.candidates))
    var expression: String?

    @Option(name: .long, help: "Evaluate at this time: a duration ago, RFC 3339 or seconds since 1970.")
    var at = "now"

    @Option(
        name: [.long, .customLong("range")],
        help: "Evaluate over this much time before --at, for example 1h, and draw it.")
    var since: String?

    @Option(name: .long, help: "The distance between evaluations of a range. Default: as fine as the picture shows.")
    var step: String?

    @Option(name: .long, help: "Ask again this often until interrupted, for example 2s.")
    var watch: String?

    @Flag(name: .long, help: "List the queries that run right now.")
    var active = false

    @Option(name: .long, help: "End the query with this id of --active.")
    var kill: String?

    @Flag(name: .long, help: "Show the plan below the answer: what each step decoded and how long it took.")
    var explain = false

    @OptionGroup var connection: ConnectionOptions

    @Option(name: [.short, .long], help: "How to print the answer: table, json or csv.")
    var output: QueryOutput = .table

    func validate() throws {
        guard [active, expression != nil, kill != nil].count(where: { $0 }) == 1 else {
            throw ValidationError("give either an expression, --active, or --kill with an id")
        }
    }

    func run() async throws {
        let server = try ServerClient(connection)
        if let kill {
            _ = try await server.data("/api/v1/status/queries/\(kill)", method: "DELETE")
            Terminal.write("query \(kill) was told to end\n")
            return
        }
        guard let expression else {
            try printActive(await server.data("/api/v1/status/queries"))
            return
        }
        guard let watch else {
            Terminal.write(try await answer(server, expression))
            return
        }
        let milliseconds = max(100, try TimeArgument.duration(watch, option: "--watch"))
        while !Task.isCancelled {
            let text = try await answer(server, expression)
            // Drawn over what was there and the rest cleared: without the flicker of clearing first.
            let isOver = Terminal.isInteractive
            let lines = isOver ? Array(text.utf8).split(separator: 0x0a, omittingEmptySubsequences: false) : []
            Terminal.write(
                isOver
                    ? Array("\u{1b}[H".utf8) + Array(lines.joined(separator: Array("\u{1b}[K\n".utf8)))
                        + Array("\u{1b}[J".utf8) : Array((text + "\n").utf8))
            try await Task.sleep(for: .milliseconds(milliseconds))
        }
    }

    /// Asks once; the answer as it is printed.
    private func answer(_ server: ServerClient, _ expression: String) async throws -> String {
        let data: JSONValue
        do {
            let (path, wanted) = try request(expression)
            let parameters = explain ? wanted + [("stats", "all")] : wanted
            data = try await server.data(path, parameters, method: "POST")
        } catch let failure as CommandFailure {
            throw CommandFailure(QueryCommand.pointing(failure.description, expression))
        }
        if output == .table, data["result"]?.elements?.isEmpty == true {
            for hint in await EmptyAnswerHint(server: server).metrics(in: expression) { Terminal.note(hint) }
        }
        switch output {
        case .json: return String(decoding: data.encoded, as: UTF8.self) + "\n"
        case .csv: return QueryPrinter.csv(data)
        case .table:
            let canvas = Terminal.isInteractive ? (columns: Terminal.columns, rows: Terminal.rows) : nil
            let text = QueryPrinter(expression: expression, canvas: canvas).text(data)
            return explain ? text + "\n" + QueryPlanPrinter.text(data["stats"]) : text
        }
    }

    private func request(_ expression: String) throws -> (path: String, parameters: [(String, String)]) {
        let now = SystemWallClock().nowNanoseconds
        let end = try TimeArgument.nanoseconds(at, option: "--at", now: now) / 1_000_000
        guard let since else {
            return ("/api/v1/query", [("query", expression), ("time", Timestamps.seconds(milliseconds: end))])
        }
        let span = try TimeArgument.duration(since, option: "--since")
        let points = Int64(output == .table && Terminal.isInteractive ? max(60, 2 * (Terminal.columns - 12)) : 60)
        let stepMilliseconds =
            try step.map { try TimeArgument.duration($0, option: "--step") } ?? max(span / points, 1_000)
        return (
            "/api/v1/query_range",
            [
                ("query", expression), ("start", Timestamps.seconds(milliseconds: end - span)),
                ("end", Timestamps.seconds(milliseconds: end)),
                ("step", Timestamps.seconds(milliseconds: stepMilliseconds)),
            ]
        )
    }

    /// An error with the place it means marked below the expression: `2:5: parse error: …` points into line 2, as does
    /// `parse error at line 2, col 5: …`.
    static func pointing(_ message: String, _ expression: String) -> String {
        let place = message.split { !$0.isNumber }.prefix(2)
        let lines = expression.split(separator: "\n", omittingEmptySubsequences: false)
        guard message.contains("parse error"), place.count >= 2, let line = Int(place[0]), let column = Int(place[1]),
            lines.indices.contains(line - 1), column >= 1, column <= lines[line - 1].count + 1
        else { return message }
        let text = lines[line - 1]
        let wrong = text.dropFirst(column - 1).prefix { $0.isLetter || $0.isNumber || $0 == "_" }.count
        let mark = String(repeating: " ", count: column - 1) + String(repeating: "^", count: max(1, wrong))
        return "\(message)\n  \(text)\n  \(mark)"
    }

    private func printActive(_ data: JSONValue) throws {
        if output == .json {
            Terminal.write(data.encoded + [UInt8(ascii: "\n")])
            return
        }
        var table = TextTable(["id", "seconds", "who", "query"], alignments: [.left, .right])
        for query in data.elements ?? [] {
            table.append([
                query["id"]?.text ?? "", FloatText.plain(query["seconds"]?.double ?? 0),
                query["principal"]?.text ?? "", query["query"]?.text ?? "",
            ])
        }
        Terminal.write(table.isEmpty ? "no query runs\n" : table.render())
    }
}
