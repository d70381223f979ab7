internal import Telemetry
internal import TestSupport
internal import Testing

@testable import Wire

@Suite struct ExpositionTests {
    func sample(
        _ name: String, _ labels: [String: String], _ value: Double, _ time: Int64? = nil
    ) -> ExpositionParser.Item {
        .sample(labels: Labels(labels).setting("__name__", to: name), value: value, milliseconds: time)
    }

    @Test func readsTheExampleOfTheFormatsPage() throws {
        let text = #"""
            # HELP http_requests_total The total number of HTTP requests.
            # TYPE http_requests_total counter
            http_requests_total{method="post",code="200"} 1027 1395066363000

            # Escaping in label values:
            file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9
            metric_without_timestamp_and_labels 12.47
            something_weird{problem="division by zero"} +Inf -3982045
            rpc_duration_seconds { quantile = "0.01" , } 3102
            """#
        #expect(
            try ExpositionParser.parse(Array(text.utf8)) == [
                .help(name: "http_requests_total", text: "The total number of HTTP requests."),
                .type(name: "http_requests_total", kind: .counter),
                sample("http_requests_total", ["method": "post", "code": "200"], 1027, 1_395_066_363_000),
                sample(
                    "file_access_time_seconds",
                    ["path": "C:\\DIR\\FILE.TXT", "error": "Cannot find file:\n\"FILE.TXT\""], 1.458255915e9),
                sample("metric_without_timestamp_and_labels", [:], 12.47),
                sample("something_weird", ["problem": "division by zero"], .infinity, -3_982_045),
                sample("rpc_duration_seconds", ["quantile": "0.01"], 3102),
            ])
    }

    @Test func readsQuotedNames() throws {
        let text = #"{"my.metric","a.b"="c",d="e"} 1"# + "\r\n" + #"# TYPE "my.metric" untyped"#
        #expect(
            try ExpositionParser.parse(Array(text.utf8)) == [
                sample("my.metric", ["a.b": "c", "d": "e"], 1), .type(name: "my.metric", kind: .unknown),
            ])
    }

    @Test(arguments: [
        ("a{b=c} 1", "line 1: expected '\"' behind '=', found 'c'"),
        ("\na 1x", "line 2: expected a value, found \"1x\""),
        ("a", "line 1: expected a value, found the end of the line"),
        ("a{b=\"c\" 1", "line 1: expected ',' or '}' behind a label, found '1'"),
        ("a{b=\"c} 1", "line 1: a quote is not closed"),
        ("a{b=\"c\"} 1 x", "line 1: expected a timestamp in milliseconds, found \"x\""),
        ("a 1 2 3", "line 1: text behind the timestamp"), ("{b=\"c\"} 1", "line 1: a sample without a metric name"),
        ("a{b=\"1\",b=\"2\"} 1", "line 1: a label is given twice"),
        ("9a 1", "line 1: expected a metric name, found '9'"),
        ("a{9=\"x\"} 1", "line 1: expected a label name, found '9'"),
        ("# TYPE a count", "line 1: invalid metric type \"count\""),
        ("# TYPE", "line 1: expected a metric name behind TYPE"), ("a{b=\"\\", "line 1: a quote is not closed"),
        ("a{b \"c\"} 1", "line 1: expected '=' behind a label name, found '\"'"),
        ("a{", "line 1: expected a label name, found the end of the line"),
    ])
    func saysWhatIsWrongAndWhere(text: String, words: String) {
        let error = #expect(throws: ExpositionError.self) { try ExpositionParser.parse(Array(text.utf8)) }
        #expect(error?.description == words)
    }

    @Test func writesWhatItReads() throws {
        var writer = ExpositionWriter()
        writer.family("a_total", .counter, help: "Back\\slash and\nline.")
        writer.sample("a_total", Labels(["__name__": "a_total", "l": "q\"b\\n\n"]), 1e21, milliseconds: 5)
        writer.family("b", .stateset, help: "")
        writer.sample("b", .empty, .nan)
        let text = String(decoding: writer.bytes, as: UTF8.self)
        #expect(
            text == #"""
                # HELP a_total Back\\slash and\nline.
                # TYPE a_total counter
                a_total{l="q\"b\\n\n"} 1e+21 5
                # TYPE b gauge
                b NaN

                """#)
        let items = try ExpositionParser.parse(writer.bytes)
        #expect(items.count == 5)
        #expect(items[0] == .help(name: "a_total", text: "Back\\slash and\nline."))
        #expect(items[2] == sample("a_total", ["l": "q\"b\\n\n"], 1e21, 5))
    }

    @Test func writesFamiliesTogether() {
        var writer = ExpositionWriter()
        writer.write([
            StoreMetric("b", .gauge, 1, help: "B."),
            StoreMetric("a", .counter, 2, help: "A.", labels: Labels(["x": "2"])),
            StoreMetric("a", .counter, 1, help: "A.", labels: Labels(["x": "1"])),
        ])
        #expect(
            String(decoding: writer.bytes, as: UTF8.self)
                == "# HELP a A.\n# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 2\n# HELP b B.\n# TYPE b gauge\nb 1\n")
    }

    @Test func refusesALineWithoutEnd() {
        let line = [UInt8](repeating: UInt8(ascii: "a"), count: ExpositionParser.lineBytesMaximum + 1)
        #expect(throws: ExpositionError.self) { try ExpositionParser.parse(line) }
    }
}

/// Random samples survive writing and reading; mangled text is refused or reads the same after writing again.
struct ExpositionFuzzer: Fuzzer {
    static let name = "exposition"

    static func run(seed: UInt64, events: Int) throws {
        var random = SeededGenerator(seed: seed)
        let pieces = ["a", "\"", "\\", "\n", "é", "{", "}", ",", " "]
        for event in 0..<events {
            var writer = ExpositionWriter()
            var expected: [ExpositionParser.Item] = []
            for _ in 0..<random.int(in: 1..<5) {
                let value = (0..<random.int(in: 1..<6)).map { _ in random.pick(pieces) }.joined()
                let labels = Labels(["__name__": "m_\(random.int(in: 0..<3))", "l": value])
                let number = Double(random.int(in: -1000..<1000)) / 8
                let time: Int64? = random.oneIn(2) ? Int64(random.int(in: 0..<100_000)) : nil
                writer.sample(labels.metricName ?? "", labels, number, milliseconds: time)
                expected.append(.sample(labels: labels, value: number, milliseconds: time))
            }
            var text = writer.bytes
            guard (try? ExpositionParser.parse(text)) == expected else {
                throw FuzzFinding(
                    seed: seed, event: event, "does not read back: \(String(decoding: text, as: UTF8.self))")
            }
            for _ in 0..<random.int(in: 1..<4) {
                let index = random.int(in: 0..<text.count)
                if random.oneIn(2) {
                    text[index] = UInt8(truncatingIfNeeded: random.next())
                } else {
                    text.remove(at: index)
                }
                if text.isEmpty { text = [0x20] }
            }
            guard let items = try? ExpositionParser.parse(text) else { continue }
            try check(items, seed, event)
        }
    }

    private static func check(_ items: [ExpositionParser.Item], _ seed: UInt64, _ event: Int) throws {
        for case .sample(let labels, let value, let time) in items where !value.isNaN {
            let name = labels.metricName ?? ""
            guard LabelName.isValidMetric(name), labels.pairs.allSatisfy({ LabelName.isValid($0.name) }) else {
                continue
            }
            var writer = ExpositionWriter()
            writer.sample(name, labels, value, milliseconds: time)
            let again = try? ExpositionParser.parse(writer.bytes)
            guard again == [.sample(labels: labels, value: value, milliseconds: time)] else {
                throw FuzzFinding(seed: seed, event: event, "changed by writing: \(labels) \(value)")
            }
        }
    }
}

@Suite struct ExpositionFuzzerTests {
    @Test func smoke() throws { try ExpositionFuzzer.runFromTable() }
}
