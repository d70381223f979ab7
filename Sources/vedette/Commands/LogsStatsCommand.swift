internal import ArgumentParser
internal import Query
internal import Telemetry

/// `vedette logs stats`: who writes how much.
struct LogsStatsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Lines and bytes by stream, label, level or pattern: who writes how much.",
        discussion: """
            Examples:
              vedette logs stats
              vedette logs stats --by level --container api
              vedette logs stats --by pattern --since 10m
              vedette logs stats --by node,container
            """)

    @OptionGroup var filter: LogFilterOptions

    @OptionGroup var span: LogSpanOptions

    @Option(name: .long, help: "stream, level, pattern, or labels.")
    var by = "stream"

    @Option(name: .shortAndLong, help: "At most this many rows; 0 for all.")
    var maximum = 40

    @OptionGroup var client: ClientOptions

    private struct Row {
        var name: String
        var lines: Double = 0
        var bytes: Double = 0
    }

    func run() async throws {
        let server = try ServerClient(client)
        let range = try span.range(now: SystemWallClock().nowNanoseconds)
        let rows = try await (by == "pattern" ? patterns(server, range) : labels(server, range))
            .sorted { ($1.bytes, $0.name) < ($0.bytes, $1.name) }
        if client.output == .json { return Terminal.write(json(rows)) }
        let seconds = Double(range.endNanoseconds - range.startNanoseconds) / 1e9
        let (lines, bytes) = rows.reduce(into: (0.0, 0.0)) { sum, row in
            sum.0 += row.lines
            sum.1 += row.bytes
        }
        var table = TextTable(
            ["bytes", "share", "per second", "lines", by], alignments: [.right, .right, .right, .right])
        let shown = maximum == 0 ? rows[...] : rows.prefix(maximum)
        for row in shown {
            table.append([
                ByteSizes.binary(Int64(row.bytes)),
                FloatText.plain((row.bytes / max(1, bytes) * 1_000).rounded() / 10) + "%",
                ByteSizes.binary(Int64(row.bytes / max(1, seconds))), FloatText.plain(row.lines),
                TerminalText.plain(row.name),
            ])
        }
        if !table.isEmpty { Terminal.write(table.render()) }
        var note = "\(FloatText.plain(lines)) lines, \(ByteSizes.binary(Int64(bytes))) by \(rows.count) of \(by)"
        if shown.count < rows.count { note += ", \(shown.count) shown (-m 0 for all)" }
        Terminal.note(note)
    }

    private func labels(_ server: ServerClient, _ range: LogTimeRange) async throws -> [Row] {
        let milliseconds = max(1, (range.endNanoseconds - range.startNanoseconds) / 1_000_000)
        let names = by.split(separator: ",").map { $0 == "level" ? LineLevel.label : String($0) }
        var rows: [String: Row] = [:]
        for function in ["count_over_time", "bytes_over_time"] {
            let inner = "\(function)(\(filter.query) [\(milliseconds)ms])"
            let query = by == "stream" ? inner : "sum by (\(names.joined(separator: ","))) (\(inner))"
            let data = try await server.data(
                "/loki/api/v1/query",
                [("query", query), ("time", "\(range.endNanoseconds)"), ("everything", "true")], method: "POST")
            for element in data["result"]?.elements ?? [] {
                let metric = element["metric"]?.members ?? []
                let name =
                    by == "stream"
                    ? Labels(metric.map { (name: $0.key, value: $0.value.text ?? "") }).description
                    : names.map { name in metric.first { $0.key == name }?.value.text ?? "" }.joined(separator: "  ")
                let value = Double(element["value"]?[1]?.text ?? "") ?? 0
                if function == "count_over_time" {
                    rows[name, default: Row(name: name)].lines = value
                } else {
                    rows[name, default: Row(name: name)].bytes = value
                }
            }
        }
        return Array(rows.values)
    }

    private func patterns(_ server: ServerClient, _ range: LogTimeRange) async throws -> [Row] {
        let data = try await PatternList.ask(server, filter.query, range, buckets: 1, countsBytes: true)
        return (data["patterns"]?.elements ?? []).map { pattern in
            Row(
                name: pattern["pattern"]?.text ?? "", lines: pattern["lines"]?.double ?? 0,
                bytes: pattern["bytes"]?.double ?? 0)
        }
    }

    private func json(_ rows: [Row]) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginArray()
        for row in rows {
            writer.beginObject()
            writer.member("name", row.name)
            writer.key("lines")
            writer.number(row.lines)
            writer.key("bytes")
            writer.number(row.bytes)
            writer.endObject()
        }
        writer.endArray()
        return writer.bytes + [0x0a]
    }
}
