import Synchronization
import Telemetry
import TestSupport
import Testing
import Transport
import Wire

@testable import Server

/// Following a query: what was there, what arrives, what was missed, and coming back.
@Suite(.timeLimit(.minutes(1))) struct LokiTailTests {
    private func append(_ fixture: ServerFixture, _ texts: String..., app: String = "web") async throws {
        var lines = LogLines(labels: Labels(["app": app]))
        for text in texts {
            let number = Int64(fixture.logs.lines.count + lines.count)
            lines.append(nanoseconds: ServerFixture.now * 1_000_000 + number, line: Array(text.utf8))
        }
        _ = try await fixture.logs.append(LogBatch(streams: [lines]))
    }

    /// The messages of a tail without a WebSocket.
    private final class Reader {
        private let stream: any HTTPStream
        private var pending: [UInt8] = []

        init(_ fixture: ServerFixture, _ parameters: [(String, String)]) async throws {
            let query = QueryString(parameters.map { QueryString.Item($0.0, $0.1) }).encoded
            stream = try await fixture.client.open(HTTPCall("GET", fixture.endpoint, "/loki/api/v1/tail?\(query)"))
            #expect(stream.status == 200)
        }

        func next() async throws -> JSONValue? {
            while true {
                if let end = pending.firstIndex(of: 0x0a) {
                    defer { pending.removeFirst(end + 1) }
                    return try JSONValue(parsing: Array(pending[..<end]))
                }
                guard let piece = try await stream.next() else { return nil }
                pending += piece
            }
        }
    }

    private func texts(_ message: JSONValue?) -> [String] {
        (message?["streams"]?.elements ?? []).flatMap { stream in
            (stream["values"]?.elements ?? []).compactMap { $0[1]?.text }
        }
    }

    @Test func whatWasThereAndWhatArrives() async throws {
        let fixture = try await ServerFixture.start()
        try await append(fixture, "old 1", "old 2", "old 3")
        let reader = try await Reader(fixture, [("query", "{app=\"web\"} |~ \"old|new\""), ("limit", "2")])
        #expect(texts(try await reader.next()) == ["old 2", "old 3"])
        try await append(fixture, "new 1", "other")
        try await append(fixture, "new elsewhere", app: "db")
        let message = try await reader.next()
        #expect(texts(message) == ["new 1"])
        #expect(message?["streams"]?[0]?["stream"]?["app"]?.text == "web")
        #expect(message?["cursor"]?.text != nil)
    }

    @Test func goesOnAtItsCursor() async throws {
        let fixture = try await ServerFixture.start()
        let first = try await Reader(fixture, [("query", "{app=\"web\"}"), ("limit", "0")])
        try await append(fixture, "one")
        let cursor = try await first.next()?["cursor"]?.text ?? ""
        try await append(fixture, "two", "three")
        let second = try await Reader(fixture, [("query", "{app=\"web\"}"), ("cursor", cursor)])
        #expect(texts(try await second.next()) == ["two", "three"])
    }

    @Test func saysWhatWasMissed() async throws {
        let fixture = try await ServerFixture.start()
        try await append(fixture, "one", "two", "three")
        fixture.logs.forgotten.withLock { $0 = 2 }
        let reader = try await Reader(fixture, [("query", "{app=\"web\"}"), ("cursor", "0")])
        let message = try await reader.next()
        #expect(message?["missed"]?["lines"]?.wholeNumber == 2)
        #expect(message?["missed"]?["start"]?.text == "\(ServerFixture.now * 1_000_000)")
        #expect(message?["dropped_entries"]?[0]?["timestamp"]?.text == "\(ServerFixture.now * 1_000_000)")
        #expect(message?["cursor"]?.text == "2")
        #expect(texts(try await reader.next()) == ["three"])
    }

    @Test func stagesAndCategories() async throws {
        let fixture = try await ServerFixture.start()
        let query = QueryString([QueryString.Item("query", "{app=\"web\"} | logfmt | took > 1s"), .init("limit", "0")])
        let call = HTTPCall(
            "GET", fixture.endpoint, "/loki/api/v1/tail?\(query.encoded)",
            fields: [HTTPField("X-Loki-Response-Encoding-Flags", "categorize-labels")])
        let stream = try await fixture.client.open(call)
        try await append(fixture, "took=3s level=warn", "took=3ms")
        let message = try JSONValue(parsing: try await stream.next() ?? [])
        #expect(message["encodingFlags"]?[0]?.text == "categorize-labels")
        let entry = message["streams"]?[0]?["values"]?[0]
        #expect(message["streams"]?[0]?["stream"]?.members?.map(\.key) == ["app"])
        #expect(entry?[2]?["parsed"]?["took"]?.text == "3s")
        #expect(entry?[2]?["structuredMetadata"]?["detected_level"]?.text == "warn")
    }

    @Test func endsWithTheServer() async throws {
        let fixture = try await ServerFixture.start()
        let reader = try await Reader(fixture, [("query", "{app=\"web\"}"), ("limit", "0")])
        try await append(fixture, "one")
        _ = try await reader.next()
        #expect(fixture.logs.tails.load(ordering: .relaxed) == 1)
        await fixture.server.shutdown(deadlineMilliseconds: 5_000)
        #expect(try await reader.next() == nil)
        #expect(fixture.logs.tails.load(ordering: .relaxed) == 0)
    }
}
