internal import Query
internal import TestSupport

/// Feeds the parser words of the grammar in any order, with bytes of chance in between: it must answer or refuse, and
/// what it takes must print to a text that reads as the same expression.
struct PromQLParserFuzzer: Fuzzer {
    static let name = "promql-parser"

    private static let words = [
        "a", "up", "job", "sum", "topk", "count_values", "by", "without", "on", "ignoring", "group_left", "group_right",
        "fill", "fill_left", "bool", "and", "or", "unless", "atan2", "offset", "anchored", "smoothed", "start", "end",
        "step", "range", "min_of", "max_of", "rate", "abs", "label_replace", "time", "info", "(", ")", "()", "{", "}",
        "[", "]", "[5m]", "[1h:]", "[1h:5m]", ",", ":", "=", "==", "!=", "=~", "!~", "<", "<=", ">", ">=", "</", ">/",
        "+", "-", "*", "/", "%", "^", "@", "5", "0x1f", "1_0", ".5", "1e3", "5m", "1h30m", "Inf", "NaN", "\"x\"", "'y'",
        "`z`", "\"\\u00e9\"", "#", "\n", " ", "{a=\"b\"}", "{\"m\"}",
    ]

    static func run(seed: UInt64, events: Int) throws {
        var generator = SeededGenerator(seed: seed)
        for event in 0..<events {
            var bytes: [UInt8] = []
            for _ in 0..<generator.int(in: 1..<14) {
                if generator.oneIn(12) {
                    bytes += generator.bytes(generator.int(in: 1..<4))
                } else {
                    bytes += Array(generator.pick(words).utf8)
                }
                if generator.oneIn(3) { bytes.append(0x20) }
            }
            if generator.oneIn(50) {
                let piece = generator.pick(["(", "-", "a+", "a[", "{", "sum(", "1^"])
                bytes = Array(String(repeating: piece, count: generator.int(in: 1..<3000)).utf8) + bytes
            }
            try check(String(decoding: bytes, as: UTF8.self), seed, event)
        }
    }

    private static func check(_ text: String, _ seed: UInt64, _ event: Int) throws {
        let expression: Expression
        do throws(QueryError) {
            expression = try Engine.parse(text)
        } catch {
            guard error.kind == .parse, !error.message.isEmpty else {
                throw FuzzFinding(seed: seed, event: event, "a strange refusal of “\(text)”: \(error)")
            }
            return
        }
        let printed = expression.description
        do throws(QueryError) {
            let again = try Engine.parse(printed)
            guard again == expression, again.description == printed else {
                throw QueryError(.parse, "it reads as \(again)")
            }
            guard try Engine.parse(expression.pretty) == expression else {
                throw QueryError(.parse, "over lines it reads otherwise: \(expression.pretty)")
            }
        } catch {
            throw FuzzFinding(seed: seed, event: event, "“\(text)” is printed as “\(printed)”: \(error)")
        }
    }
}
