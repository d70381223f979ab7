internal import Query
internal import TestSupport
internal import Testing

/// Any text is read or refused, never a crash; what is read prints as text that means the same.
struct LogQLFuzzer: Fuzzer {
    static let name = "logql"

    private static let pieces = [
        "{app=\"a\"}", "{", "}", "(", ")", "[5m]", "[", "]", "|=", "!=", "|~", "|", "json", "logfmt", "--strict",
        "unwrap x",
        "line_format", "label_format", "a=b", "\"t\"", "`r`", "5", "1h2m", "20MB", "sum", "by (a)", "without (b)",
        "rate",
        "count_over_time", "topk", "3,", "+", "-", "*", "^", "and", "or", "unless", "bool", ">", "==", "on (x)",
        "group_left",
        "offset 1m", "ip(\"1.2.3.4\")", "drop", "keep", "vector(1)", ",", "=", "label_replace", "# c\n", "µ", "\u{0}",
    ]

    static func run(seed: UInt64, events: Int) throws {
        var generator = SeededGenerator(seed: seed)
        for event in 0..<events {
            var query = ""
            for _ in 0..<generator.int(in: 1..<12) { query += generator.pick(pieces) + (generator.oneIn(4) ? "" : " ") }
            guard let tree = try? Engine.parseLogs(query) else { continue }
            let printed = tree.description
            guard let again = try? Engine.parseLogs(printed) else {
                throw FuzzFinding(seed: seed, event: event, "\(query) prints as \(printed), which cannot be read")
            }
            guard again.description == printed else {
                throw FuzzFinding(seed: seed, event: event, "\(printed) prints as \(again)")
            }
        }
    }
}

@Suite struct LogQLFuzzing {
    @Test func smoke() throws { try LogQLFuzzer.runFromTable() }
}
