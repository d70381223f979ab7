internal import ArgumentParser
internal import Telemetry

/// `vedette query`: PromQL at one time, or over a range.
struct QueryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "query",
        abstract: "Evaluate a PromQL expression.",
        discussion: """
            Examples:
              vedette query 'sum by (name) (rate(container_cpu_usage_seconds_total[1m]))'
              vedette query --range 1h --step 1m 'node_load1'
              vedette query --active
            """)

    @Argument(help: "The expression.")
    var expression: String?

    @Option(name: .long, help: "Evaluate at this time: a duration ago, RFC 3339 or seconds since 1970.")
    var at = "now"

    @Option(name: .long, help: "Evaluate over this much time before --at, for example 1h.")
    var range: String?

    @Option(name: .long, help: "The distance between evaluations of a range. Default: 60 points.")
    var step: String?

    @Flag(name: .long, help: "List the queries that run right now.")
    var active = false

    @OptionGroup var client: ClientOptions

    func validate() throws {
        guard active != (expression != nil) else {
            throw ValidationError("give either an expression or --active")
        }
    }

    func run() async throws {
        let server = try ServerClient(client)
        guard let expression else {
            try printActive(await server.data("/api/v1/status/queries"))
            return
        }
        let now = SystemWallClock().nowNanoseconds
        let end = try TimeArgument.nanoseconds(at, option: "--at", now: now)
        var parameters = [("query", expression)]
        var path = "/api/v1/query"
        if let range {
            let span = try TimeArgument.duration(range, option: "--range")
            let stepMilliseconds =
                try step.map { try TimeArgument.duration($0, option: "--step") } ?? max(span / 60, 1_000)
            path = "/api/v1/query_range"
            parameters += [
                ("start", Timestamps.seconds(milliseconds: end / 1_000_000 - span)),
                ("end", Timestamps.seconds(milliseconds: end / 1_000_000)),
                ("step", Timestamps.seconds(milliseconds: stepMilliseconds)),
            ]
        } else {
            parameters.append(("time", Timestamps.seconds(milliseconds: end / 1_000_000)))
        }
        let data = try await server.data(path, parameters, method: "POST")
        if client.output == .json {
            Terminal.write(data.encoded + [UInt8(ascii: "\n")])
        } else {
            QueryPrinter.print(data)
        }
    }

    private func printActive(_ data: JSONValue) throws {
        if client.output == .json {
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

/// Prints the answer of a query for people: a table for one time, a line with a plot for each series of a range.
enum QueryPrinter {
    private static let levels = Array("▁▂▃▄▅▆▇█")

    /// Prints `data` of an answer of /api/v1/query or /api/v1/query_range.
    static func print(_ data: JSONValue) {
        let result = data["result"]
        switch data["resultType"]?.text {
        case "scalar", "string": Terminal.write((result?[1]?.text ?? "") + "\n")
        case "matrix": Terminal.write(matrix(result?.elements ?? []))
        default: Terminal.write(vector(result?.elements ?? []))
        }
    }

    private static func vector(_ elements: [JSONValue]) -> String {
        guard !elements.isEmpty else { return "no series\n" }
        let (names, cells) = columns(elements)
        var table = TextTable(names + ["value"], alignments: names.map { _ in .left } + [.right])
        for (element, cells) in zip(elements, cells) {
            table.append(cells + [element["value"]?[1]?.text ?? element["histogram"]?[1]?["count"]?.text ?? ""])
        }
        return table.render()
    }

    private static func matrix(_ elements: [JSONValue]) -> String {
        guard !elements.isEmpty else { return "no series\n" }
        let (names, cells) = columns(elements)
        var table = TextTable(
            names + ["min", "max", "last", "plot"],
            alignments: names.map { _ in .left } + [.right, .right, .right, .left])
        for (element, cells) in zip(elements, cells) {
            let values = (element["values"]?.elements ?? []).compactMap { $0[1]?.text.flatMap(Double.init) }
            let finite = values.filter(\.isFinite)
            let bounds = (finite.min() ?? 0, finite.max() ?? 0)
            table.append(
                cells + [short(bounds.0), short(bounds.1), short(values.last ?? .nan), plot(values, within: bounds)])
        }
        return table.render()
    }

    /// The labels in which the series differ or that name them, one column each.
    private static func columns(_ elements: [JSONValue]) -> (names: [String], cells: [[String]]) {
        let metrics = elements.map { element in
            Dictionary((element["metric"]?.members ?? []).map { ($0.key, $0.value.text ?? "") }) { $1 }
        }
        let all = Set(metrics.flatMap(\.keys))
        // A column that says the same of every series says nothing, unless there is but one series.
        let telling = all.filter { name in metrics.count == 1 || Set(metrics.map { $0[name] ?? "" }).count > 1 }
        let names = telling.sorted { ($0 == "__name__" ? "" : $0) < ($1 == "__name__" ? "" : $1) }
        let titles = names.map { $0 == "__name__" ? "metric" : $0 }
        return (titles, metrics.map { metric in names.map { metric[$0] ?? "" } })
    }

    private static func short(_ value: Double) -> String {
        guard value.isFinite else { return "\(value)" }
        let rounded = (value * 10_000).rounded() / 10_000
        return FloatText.plain(abs(value) < 1e9 && rounded != 0 ? rounded : value)
    }

    private static func plot(_ values: [Double], within bounds: (Double, Double)) -> String {
        let span = bounds.1 - bounds.0
        return String(
            values.suffix(60).map { value -> Character in
                guard value.isFinite else { return " " }
                let share = span > 0 ? (value - bounds.0) / span : 0.5
                return levels[min(levels.count - 1, Int(share * Double(levels.count)))]
            })
    }
}
