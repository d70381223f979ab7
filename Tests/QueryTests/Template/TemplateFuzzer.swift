import Query
import TestSupport

/// Feeds random templates, built from pieces that mean something, to the parser and the evaluator: each must end, and
/// say where it could not go on.
struct TemplateFuzzer: Fuzzer {
    static let name = "template"

    private static let pieces = [
        "{{", "}}", "{{-", "-}}", " ", "\n", "text", "$labels", ".x", "$value", "$", "|", "(", ")", ":=", "=", ",",
        "if ",
        "else ", "end", "range ", "with ", "define ", "template ", "\"x\"", "`y`", "'z'", "1", "2.5", "0x", "-", ".",
        "printf ",
        "humanize", "humanizeDuration ", "query ", "first ", "eq ", "lt ", "index ", "slice ", "reReplaceAll ", "/*",
        "*/",
        "break", "continue", "nil", "true", "%s", "%*d", "é", "\u{0}",
    ]

    static func run(seed: UInt64, events: Int) throws {
        var random = SeededGenerator(seed: seed)
        let data = TemplateData(labels: ["x": "v"], value: 2.5, milliseconds: 1_700_000_000_000)
        for event in 0..<events {
            let text = (0..<random.int(in: 1..<40)).map { _ in random.pick(pieces) }.joined()
            do {
                let output = try Template(text).expand(data) { _, _ in [(["a": "b"], 1)] }
                if output.utf8.count > 2 << 20 {
                    throw FuzzFinding(seed: seed, event: event, "unbounded output: \(text)")
                }
            } catch let error as TemplateError {
                let lines = text.split(separator: "\n", omittingEmptySubsequences: false).count
                if error.line < 1 || error.line > lines || error.column < 1 {
                    throw FuzzFinding(seed: seed, event: event, "no place for \(error) in \(text)")
                }
            }
        }
    }
}
