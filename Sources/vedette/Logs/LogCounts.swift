internal import Query
internal import Telemetry

/// Counts of lines over a span, by label and time.
struct LogCounts {
    let server: ServerClient
    let query: String
    let range: LogTimeRange

    private static let eighths = ["▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"]

    /// How many lines there are.
    func total() async throws -> Int64 {
        let data = try await counts(by: [], buckets: 1)
        return Int64(data.reduce(0) { $0 + $1.values.reduce(0, +) })
    }

    /// Prints counts: by time with a bar each, or by labels with a line of bars over time.
    func print(by names: [String], isJSON: Bool) async throws {
        let isTime = names == ["time"]
        let buckets = isTime ? max(10, min(60, Terminal.rows - 4)) : 48
        let labels = isTime ? [] : names.map { $0 == "level" ? LineLevel.label : $0 }
        let series = try await counts(by: labels, buckets: buckets).sorted { $1.sum < $0.sum }
        if isJSON { return Terminal.write(json(series, labels, buckets)) }
        if series.isEmpty { return Terminal.note("no lines") }
        if isTime {
            printBars(series[0].values, buckets)
        } else {
            var table = TextTable(
                names + ["lines", "share", "over time"], alignments: names.map { _ in .left } + [.right, .right])
            let all = series.reduce(0) { $0 + $1.sum }
            for one in series {
                let share = FloatText.plain((one.sum / all * 1_000).rounded() / 10) + "%"
                table.append(
                    labels.map { TerminalText.plain(one.labels[$0] ?? "") }
                        + [FloatText.plain(one.sum), share, Sparkline.text(one.values)])
            }
            Terminal.write(table.render())
        }
        let sum = series.reduce(0) { $0 + $1.sum }
        Terminal.note("\(FloatText.plain(sum)) lines in \(Durations.prometheus(milliseconds: milliseconds))")
    }

    private func printBars(_ values: [Double], _ buckets: Int) {
        let width = Double(max(10, Terminal.columns - 36))
        let most = values.max() ?? 1
        let step = (range.endNanoseconds - range.startNanoseconds) / Int64(buckets)
        var text = ""
        for (bucket, value) in values.enumerated() {
            let start = range.startNanoseconds + Int64(bucket) * step
            let eighths = Int((value / max(1, most) * width * 8).rounded())
            let rest = eighths % 8
            let bar = String(repeating: "█", count: eighths / 8) + (rest > 0 ? LogCounts.eighths[rest - 1] : "")
            let number = FloatText.plain(value)
            let padding = String(repeating: " ", count: max(0, 10 - number.count))
            text += "\(Timestamps.rfc3339(milliseconds: start / 1_000_000)) \(padding)\(number) \(bar)\n"
        }
        Terminal.write(text)
    }

    private var milliseconds: Int64 { max(1, (range.endNanoseconds - range.startNanoseconds) / 1_000_000) }

    /// The counts of one set of labels.
    private struct Series {
        var labels: [String: String]
        var values: [Double]
        var sum: Double { values.reduce(0, +) }
    }

    private func counts(by labels: [String], buckets: Int) async throws -> [Series] {
        let step = max(1, milliseconds / Int64(buckets))
        let grouping = labels.isEmpty ? "" : " by (\(labels.joined(separator: ",")))"
        let expression = "sum\(grouping) (count_over_time(\(query) [\(step)ms]))"
        let end = range.endNanoseconds
        let first = end - step * Int64(buckets - 1) * 1_000_000
        let data = try await server.data(
            "/loki/api/v1/query_range",
            [
                ("query", expression), ("start", "\(first)"), ("end", "\(end)"), ("everything", "true"),
                ("step", Timestamps.seconds(milliseconds: step)),
            ], method: "POST")
        return (data["result"]?.elements ?? []).map { element in
            var values = [Double](repeating: 0, count: buckets)
            for point in element["values"]?.elements ?? [] {
                let time = (point[0]?.double ?? 0) * 1_000
                let bucket = Int(((time - Double(first / 1_000_000)) / Double(step)).rounded())
                if values.indices.contains(bucket) { values[bucket] = Double(point[1]?.text ?? "") ?? 0 }
            }
            var names: [String: String] = [:]
            for member in element["metric"]?.members ?? [] { names[member.key] = member.value.text }
            return Series(labels: names, values: values)
        }
    }

    private func json(_ series: [Series], _ labels: [String], _ buckets: Int) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("start", Timestamps.rfc3339(nanoseconds: range.startNanoseconds))
        writer.member("end", Timestamps.rfc3339(nanoseconds: range.endNanoseconds))
        writer.member("buckets", buckets)
        writer.key("groups")
        writer.beginArray()
        for one in series {
            writer.beginObject()
            writer.key("labels")
            writer.labels(Labels(one.labels))
            writer.key("lines")
            writer.number(one.sum)
            writer.key("counts")
            writer.beginArray()
            for value in one.values { writer.number(value) }
            writer.endArray()
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.bytes + [0x0a]
    }
}

/// A row of bars, one character per value.
enum Sparkline {
    private static let bars = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]

    /// The values as bars; none where there is nothing.
    static func text(_ values: [Double]) -> String {
        let most = values.max() ?? 0
        guard most > 0 else { return "" }
        return values.map { value in
            value <= 0 ? " " : bars[min(7, Int(value / most * 8))]
        }.joined()
    }
}
