internal import TestSupport
internal import Testing

@testable import Telemetry

@Suite struct LogfmtTests {
    func pairs(_ line: String) -> (found: [String], errors: [String]) {
        Array(line.utf8).withUnsafeBytes { raw in
            var scanner = LogfmtScanner(raw)
            var found: [String] = []
            var errors: [String] = []
            while true {
                do {
                    guard let (key, value) = try scanner.next() else { return (found, errors) }
                    found.append("\(String(decoding: key, as: UTF8.self))→\(value.string)")
                } catch {
                    errors.append("\(error)")
                }
            }
        }
    }

    @Test func readsPairs() {
        let line = #"level=info msg="it \"works\"\n" flag empty= path=/a?b time=12ms caf=é"#
        #expect(
            pairs(line).found == [
                "level→info", "msg→it \"works\"\n", "flag→", "empty→", "path→/a?b", "time→12ms", "caf→é",
            ])
    }

    @Test(arguments: [
        ("=x b=1", ["b→1"], ["byte 0: unexpected '='"]), ("a=b=c d=2", ["d→2"], ["byte 3: unexpected '='"]),
        ("a\"b=1 c=3", ["c→3"], ["byte 1: unexpected '\"'"]), ("a=\"open", [], ["byte 7: unterminated quoted value"]),
        ("a=x\"y\" b=1", ["b→1"], ["byte 3: unexpected '\"'"]),
        (#"a="\q" b=1"#, ["b→1"], ["byte 3: invalid quoted value"]),
    ])
    func goesOnBehindABrokenPair(line: String, found: [String], errors: [String]) {
        let result = pairs(line)
        #expect(result.found == found)
        #expect(result.errors == errors)
    }

    @Test func whatIsWrittenReadsBack() {
        var random = SeededGenerator(seed: 4)
        let pieces = ["a", " ", "=", "\"", "\\", "\n", "é", "/", "0"]
        for _ in 0..<2000 {
            let values = (0..<3).map { _ in (0..<random.int(in: 0..<5)).map { _ in random.pick(pieces) }.joined() }
            var writer = LogfmtWriter()
            for (index, value) in values.enumerated() { writer.pair("k\(index)", value) }
            let result = pairs(writer.text)
            #expect(result.found == values.enumerated().map { "k\($0.offset)→\($0.element)" })
            #expect(result.errors.isEmpty)
        }
    }
}

@Suite struct SeverityTests {
    @Test(arguments: [
        (#"{"level":"WARN","msg":"error"}"#, Severity.warn), (#"{"a":{"level":"info"},"severity":"Error"}"#, .error),
        (#"{"level":50}"#, .error), (#"{"msg":"ok"}"#, .unknown), ("level=debug msg=\"an ERROR\"", .debug),
        ("ts=1 lvl=\"crit\" x", .critical), ("2024-01-02 03:04:05 ERROR something", .error), ("[info] started", .info),
        ("Error: no such file", .error), ("warning: deprecated", .warn), ("E0102 15:04:05.1 1 a.go:1] x", .error),
        ("I0102 15:04:05.1 1 a.go:1] no error here", .info), ("plain text about an error in the middle", .unknown),
        ("errors_total 5", .unknown), ("FATAL out of memory", .fatal), ("panic: runtime error", .fatal), ("", .unknown),
        ("INFO: 0 errors", .info), ("TRACE entering", .trace), ("{not json ERROR", .error), ("level=purple", .unknown),
    ])
    func detects(line: String, severity: Severity) {
        #expect(SeverityDetector.severity(of: Array(line.utf8)[...]) == severity)
    }

    @Test func readsNamesOfEveryForm() {
        for severity in Severity.allCases where severity != .unknown {
            #expect(Severity(word: severity.name) == severity)
            #expect(Severity(word: severity.name.uppercased()) == severity)
        }
        #expect(Severity(word: "information") == .info)
        #expect(Severity(word: "Informational") == .info)
        #expect(Severity(word: "errors") == .unknown)
        #expect(Severity.error > .warn)
    }
}
