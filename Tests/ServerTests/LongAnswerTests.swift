import Query
import Telemetry
import Testing
import Transport
import Wire

@testable import Server

/// Answers and the budget of their queries; answers of lines that are longer than what may stand in memory.
@Suite struct LongAnswerTests {
    @Test func smallAnswersAreCountedAndGivenBack() async throws {
        let context = QueryContext(limits: QueryContext.Limits(bytes: 300_000), clock: SystemMonotonicClock())
        func answer(_ estimate: Int, _ count: Int) -> PiecewiseAnswer {
            PiecewiseAnswer(
                estimatedBytes: estimate, elementCount: count, open: { $0.beginArray() },
                element: { writer, _ in writer.string(String(repeating: "x", count: 1_000)) },
                close: { $0.endArray() })
        }
        _ = try answer(1_000, 10).response(acceptsGzip: false, in: context)
        #expect(context.bytesHeld >= 10_000 && context.bytesHeld < 20_000)
        // Longer than it looked, and longer than there is.
        #expect(throws: QueryInterruption.overBudget(bytes: 300_000)) {
            try answer(1_000, 1_000).response(acceptsGzip: false, in: context)
        }
        let other = QueryContext(limits: QueryContext.Limits(bytes: 300_000), clock: SystemMonotonicClock())
        let compressed = try answer(150_000, 150).response(acceptsGzip: true, in: other)
        #expect(compressed.fields.contains { $0.name == "Content-Encoding" && $0.value == "gzip" })
        #expect(other.bytesHeld < 20_000, "what was compressed is given back: \(other.bytesHeld)")
    }

    @Test func anAnswerHoldsItsBudgetUntilItIsTaken() throws {
        let shared = SharedQueryBudget(maximumBytes: 10 << 20)
        var response: [ListenerResponseBox] = []
        do {
            let context = QueryContext(clock: SystemMonotonicClock(), shared: shared)
            let bytes = [UInt8](repeating: 0x20, count: 1 << 20)
            response.append(
                ListenerResponseBox(try .compressedJSON(bytes, acceptsGzip: false, in: context)))
        }
        #expect(shared.bytesInUse >= 1 << 20)
        #expect(response[0].value.fields.contains { $0.name == "Content-Length" && $0.value == "\(1 << 20)" })
        response.removeAll()
        #expect(shared.bytesInUse == 0)
    }

    // MARK: Lines

    private func filled(lines: Int, bytes: Int) async throws -> ServerFixture {
        let fixture = try await ServerFixture.start()
        let base = ServerFixture.now * 1_000_000
        var streams = ["a", "b"].map { LogLines(labels: Labels(["app": $0])) }
        for index in 0..<lines {
            let text = "\(index) " + String(repeating: "x", count: bytes)
            streams[index % 2].append(
                nanoseconds: base - Int64(lines - index) * 1_000_000, line: Array(text.utf8),
                metadata: index == 1 ? Labels(["trace": "t"]) : .empty)
        }
        _ = try await fixture.logs.append(LogBatch(streams: streams))
        return fixture
    }

    @Test(arguments: ["forward", "backward"])
    func longAnswersOfLinesAreWholeAndInOrder(direction: String) async throws {
        let fixture = try await filled(lines: 3_000, bytes: 2_000)
        let reply = try await fixture.get(
            "/loki/api/v1/query_range",
            [("query", "{app=~\".+\"}"), ("since", "1h"), ("limit", "0"), ("direction", direction)])
        #expect(reply.status == 200 && reply.fields["transfer-encoding"] == "chunked", "\(reply.status)")
        let answer = try JSONValue(parsing: reply.body)
        #expect(answer["status"]?.text == "success" && answer["data"]?["resultType"]?.text == "streams")
        let summary = answer["data"]?["stats"]?["summary"]
        #expect(summary?["totalEntriesReturned"]?.wholeNumber == 3_000)
        var seen: [String: [Int]] = [:]
        for stream in answer["data"]?["result"]?.elements ?? [] {
            let app = stream["stream"]?["app"]?.text ?? ""
            seen[app, default: []] += (stream["values"]?.elements ?? []).compactMap { value in
                value[1]?.text.flatMap { Int($0.prefix { $0 != " " }) }
            }
        }
        let expected = Array(stride(from: 0, to: 3_000, by: 2))
        // The one line with metadata stands in a stream of its own.
        let (even, odd) = (seen["a"] ?? [], seen["b"] ?? [])
        #expect(even == (direction == "forward" ? expected : expected.reversed()))
        #expect(odd.sorted() == expected.map { $0 + 1 })
        // Nothing stays reserved.
        let metrics = try await fixture.text("/metrics")
        #expect(metrics.contains("vedette_queries_memory_bytes 0\n"))
    }

    @Test func shortAnswersHaveEachStreamOnce() async throws {
        let fixture = try await filled(lines: 100, bytes: 10)
        let parameters = [("query", "{app=~\".+\"}"), ("since", "1h"), ("limit", "0")]
        let answer = try JSONValue(parsing: try await fixture.get("/loki/api/v1/query_range", parameters).body)
        #expect(answer["data"]?["result"]?.elements?.count == 3)
        let refused = try await fixture.get("/loki/api/v1/query_range", [("query", "{}")])
        #expect(refused.status == 400, "\(refused.text)")
    }

    @Test func equalMetricQueriesOfLogsShareTheirAnswer() async throws {
        let fixture = try await filled(lines: 100, bytes: 10)
        let query = ("query", "sum(count_over_time({app=~\".+\"}[1h]))")
        let answers = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    try await fixture.text("/loki/api/v1/query", [query, ("time", "1700000000")])
                }
            }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        // Alike but for the time they took.
        #expect(answers.allSatisfy { $0.contains(#"[1700000000,"100"]"#) })
    }
}

/// A response that can be let go of.
private final class ListenerResponseBox {
    let value: ListenerResponse

    init(_ value: ListenerResponse) {
        self.value = value
    }
}
