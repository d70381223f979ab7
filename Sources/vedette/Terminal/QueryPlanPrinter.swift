internal import Telemetry

/// How `vedette query --explain` prints the `stats` of an answer.
enum QueryPlanPrinter {
    static func text(_ statistics: JSONValue?) -> String {
        guard let statistics else { return "the server tells no plan; it may be older than this vedette\n" }
        let own = statistics["vedette"]
        var table = TextTable(
            ["step", "seconds", "series", "samples decoded", "chunks decoded", "answered by headers"],
            alignments: [.left, .right, .right, .right, .right, .right])
        for step in own?["plan"]?.elements ?? [] {
            let indent = String(repeating: "  ", count: max(0, Int(number(step, "depth"))))
            let name = indent + (step["step"]?.text ?? "")
            guard step["streamed"] == nil else {
                table.append([name, "with the above", count(step, "series"), "", "", ""])
                continue
            }
            table.append([
                name, FloatText.formatted(number(step, "seconds"), verb: "f", precision: 4), count(step, "series"),
                count(step, "samplesDecoded"), count(step, "chunksDecoded"), count(step, "chunksSkipped"),
            ])
        }
        let bytes = { (name: String) in own.map { ByteSizes.binary(Int64(number($0, name))) } ?? "?" }
        let timings = statistics["timings"]
        let seconds = { (name: String) in
            FloatText.formatted(timings.map { number($0, name) } ?? 0, verb: "f", precision: 4)
        }
        let blocks = own.map { own in
            "\(count(own, "blocksRead")) blocks read, \(count(own, "blocksSkipped")) passed over\(kinds(own))"
        }
        return table.render()
            + "waited \(seconds("execQueueTime")) s, prepared \(seconds("queryPreparationTime")) s, "
            + "evaluated \(seconds("innerEvalTime")) s, ordered the result \(seconds("resultSortTime")) s\n"
            + "\(blocks ?? "?"); \(bytes("bytesRead")) read, at most \(bytes("bytesPeak")) of memory\n"
    }

    /// Of blocks of lines, which kinds of filters told that none had to be looked at.
    private static func kinds(_ own: JSONValue) -> String {
        let kinds = (own["skipped"]?.members ?? []).map { "\(count(own["skipped"] ?? own, $0.key)) by \($0.key)" }
        return kinds.isEmpty ? "" : " (lines: \(kinds.joined(separator: ", ")))"
    }

    private static func number(_ value: JSONValue, _ name: String) -> Double { value[name]?.double ?? 0 }

    private static func count(_ value: JSONValue, _ name: String) -> String { FloatText.plain(number(value, name)) }
}
