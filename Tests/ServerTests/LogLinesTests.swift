import Query
import Telemetry
import TestSupport
import Testing
import Wire

@testable import Server

/// Lines as a stream of records, and what belongs to a hit (docs/formats/log-lines.md).
@Suite struct LogLinesTests {
    private let base = ServerFixture.now * 1_000_000 - 60_000_000_000

    private func fixture(_ texts: [String], step: Int64 = 1_000_000) async throws -> ServerFixture {
        let fixture = try await ServerFixture.start()
        var lines = LogLines(labels: Labels(["app": "web"]))
        for (index, text) in texts.enumerated() {
            lines.append(nanoseconds: base + Int64(index) * step, line: Array(text.utf8))
        }
        _ = try await fixture.logs.append(LogBatch(streams: [lines]))
        return fixture
    }

    private func records(
        _ fixture: ServerFixture, _ parameters: [(String, String)], path: String = "/api/v1/logs/lines"
    ) async throws -> [JSONValue] {
        let reply = try await fixture.get(path, parameters)
        #expect(reply.status == 200 && reply.fields["content-type"] == "application/x-ndjson", "\(reply.text)")
        return try reply.text.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
    }

    private func texts(_ records: [JSONValue]) -> [String] {
        records.compactMap { record in
            if record["gap"] != nil { return "--" }
            return record["line"]?.text.map { text in record["role"]?.text.map { "\($0): \(text)" } ?? text }
        }
    }

    @Test func thePageHoldsWhatIsWritten() throws {
        let page = try GoldenPage("log-lines")
        var encoder = LineEncoder()
        let stream = Labels(["app": "web"])
        func line(_ nanoseconds: Int64, _ text: [UInt8]) -> LogLine {
            LogLine(nanoseconds: nanoseconds, text: text, labels: stream, stream: stream)
        }
        encoder.add(ShownLine(line: line(1_700_000_000_000_000_000, Array("it \"failed\"".utf8)), role: .match))
        encoder.add(ShownLine(line: line(1_700_000_000_000_000_001, [0x09, 0x61, 0xff]), role: .event))
        encoder.add(ShownLine(line: line(1, []), role: .gap))
        encoder.add(ShownLine(line: line(1_700_000_001_000_000_000, []), role: .context))
        #expect(encoder.takePiece() == (try page("two lines of an event, a gap, a line around a hit")))
    }

    @Test func allLinesOldestFirstAndASummary() async throws {
        let records = try await records(try await fixture(["one", "two", "three"]), [("query", "{} |= \"o\"")])
        #expect(records.first?["version"]?.wholeNumber == 1)
        #expect(records[1]["labels"]?.wholeNumber == 0 && records[1]["set"]?["app"]?.text == "web")
        #expect(texts(records) == ["one", "two"])
        #expect(records[2]["of"]?.wholeNumber == 0 && records[2]["time"]?.text == "\(base)")
        #expect(records.last?["summary"]?["lines"]?.wholeNumber == 2)
    }

    @Test func theNewestWithALimit() async throws {
        let fixture = try await fixture((0..<100).map { "line \($0)" })
        let records = try await records(fixture, [("query", "{app=\"web\"}"), ("limit", "3")])
        #expect(texts(records) == ["line 97", "line 98", "line 99"])
    }

    @Test func bytesThatAreNoTextAreKept() async throws {
        let fixture = try await ServerFixture.start()
        var lines = LogLines(labels: Labels(["app": "web"]))
        lines.append(nanoseconds: base, line: [0x61, 0xff, 0x62])
        _ = try await fixture.logs.append(LogBatch(streams: [lines]))
        let records = try await records(fixture, [("query", "{}")])
        #expect(records[2]["line"]?.text == "a\u{fffd}b" && records[2]["bytes"]?.text == "61ff62")
    }

    @Test func linesAround() async throws {
        let fixture = try await fixture((0..<20).map { "line \($0)\($0 == 5 || $0 == 7 || $0 == 15 ? " hit" : "")" })
        let parameters = [("query", "{app=\"web\"} |= \"hit\""), ("before", "1"), ("after", "2")]
        let expected = [
            "context: line 4", "line 5 hit", "context: line 6", "line 7 hit", "context: line 8", "context: line 9",
            "--", "context: line 14", "line 15 hit", "context: line 16", "context: line 17",
        ]
        #expect(texts(try await records(fixture, parameters)) == expected)
        // The newest ones are read from behind, and shown the same.
        #expect(texts(try await records(fixture, parameters + [("limit", "10")])) == expected)
    }

    @Test func anEventIsFoundAndShownWhole() async throws {
        let fixture = try await fixture([
            "INFO ready", "ERROR failed", "java.io.IOException: gone", "\tat a.b(C.java:1)", "INFO next",
            "ERROR failed", "java.io.IOException: other", "\tat d.e(F.java:1)", "INFO last",
        ])
        let query = ("query", "{app=\"web\"} |= \"IOException\"")
        let whole = texts(try await records(fixture, [query, ("events", "true")]))
        #expect(
            whole == [
                "event: ERROR failed", "java.io.IOException: gone", "event: \tat a.b(C.java:1)", "event: ERROR failed",
                "java.io.IOException: other", "event: \tat d.e(F.java:1)",
            ])
        let both = texts(
            try await records(fixture, [query, ("event_filter", "|= \"d.e\" |= \"ERROR\""), ("limit", "5")]))
        #expect(both == ["event: ERROR failed", "java.io.IOException: other", "event: \tat d.e(F.java:1)"])
    }

    @Test func theContextOfAMoment() async throws {
        let fixture = try await fixture((0..<20).map { "line \($0)" })
        let found = texts(
            try await records(
                fixture,
                [("query", "{app=\"web\"}"), ("time", "\(base + 10_000_000)"), ("before", "2"), ("after", "1")],
                path: "/api/v1/logs/context"))
        #expect(found == ["context: line 8", "context: line 9", "line 10", "context: line 11"])
        let end = texts(
            try await records(
                fixture, [("query", "{app=\"web\"}"), ("time", "\(base + 1_000_000_000_000)"), ("before", "1")],
                path: "/api/v1/logs/context"))
        #expect(end == ["context: line 18", "line 19"])
    }
}
