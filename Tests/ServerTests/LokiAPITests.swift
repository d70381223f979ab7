import Telemetry
import Testing
import Wire

@testable import Server

/// The Loki API: what Grafana and the command line ask.
@Suite struct LokiAPITests {
    private func filled() async throws -> ServerFixture {
        let fixture = try await ServerFixture.start()
        var web = LogLines(labels: Labels(["app": "web"]))
        var database = LogLines(labels: Labels(["app": "db"]))
        let base = ServerFixture.now * 1_000_000
        for index in 0..<5 {
            let time = base - Int64(5 - index) * 1_000_000_000
            web.append(nanoseconds: time, line: Array("web line \(index)".utf8))
            database.append(
                nanoseconds: time + 1, line: Array("db line \(index)".utf8),
                metadata: index == 4 ? Labels(["trace": "t1"]) : .empty)
        }
        _ = try await fixture.logs.append(LogBatch(streams: [web, database]))
        return fixture
    }

    @Test func answersLinesNewestFirstUnlessAskedOtherwise() async throws {
        let fixture = try await filled()
        let parameters = [("query", "{app=\"web\"}"), ("since", "1h"), ("limit", "2")]
        let backward = try JSONValue(parsing: try await fixture.get("/loki/api/v1/query_range", parameters).body)
        #expect(backward["data"]?["resultType"]?.text == "streams")
        let stream = backward["data"]?["result"]?[0]
        #expect(stream?["stream"]?["app"]?.text == "web")
        #expect(stream?["values"]?.elements?.compactMap { $0[1]?.text } == ["web line 4", "web line 3"])
        #expect(stream?["values"]?[0]?[0]?.text == "1699999999000000000")
        #expect(backward["data"]?["stats"]?["summary"]?["totalEntriesReturned"]?.wholeNumber == 2)
        let forward = try JSONValue(
            parsing: try await fixture.get("/loki/api/v1/query_range", parameters + [("direction", "forward")]).body)
        #expect(
            forward["data"]?["result"]?[0]?["values"]?.elements?.compactMap { $0[1]?.text }
                == ["web line 0", "web line 1"])
    }

    @Test func filtersAndCounts() async throws {
        let fixture = try await filled()
        let found = try await fixture.text(
            "/loki/api/v1/query_range", [("query", "{app=~\".+\"} |= \"line 3\""), ("start", "1699999000")])
        #expect(found.contains("web line 3") && found.contains("db line 3") && !found.contains("line 4"))
        let counted = try await fixture.text(
            "/loki/api/v1/query", [("query", "sum(count_over_time({app=~\".+\"}[1h]))"), ("time", "1700000000")])
        #expect(counted.contains(#""resultType":"vector""#))
        #expect(counted.contains(#"[1700000000,"10"]"#))
        let matrix = try await fixture.text(
            "/loki/api/v1/query_range",
            [
                ("query", "count_over_time({app=\"web\"}[1m])"), ("start", "1700000000"), ("end", "1700000010"),
                ("step", "5"),
            ])
        #expect(matrix.contains(#""resultType":"matrix""#))
        #expect(matrix.contains(#"[[1700000000,"5"],[1700000005,"5"],[1700000010,"5"]]"#))
    }

    @Test func metadataIsALabelOrStandsBesideTheLine() async throws {
        let fixture = try await filled()
        let target = "/loki/api/v1/query_range?query=%7Bapp%3D%22db%22%7D&since=1h"
        let flat = try JSONValue(parsing: try await fixture.send("GET", target).body)
        let streams = flat["data"]?["result"]?.elements ?? []
        #expect(Set(streams.map { $0["stream"]?["trace"]?.text }) == [nil, "t1"])
        let flag = [HTTPField("X-Loki-Response-Encoding-Flags", "categorize-labels")]
        let categorized = try JSONValue(parsing: try await fixture.send("GET", target, fields: flag).body)
        #expect(categorized["data"]?["encodingFlags"]?[0]?.text == "categorize-labels")
        let values = categorized["data"]?["result"]?[0]?["values"]
        #expect(values?[0]?[2]?["structuredMetadata"]?["trace"]?.text == "t1")
        // As Loki adds it to every line.
        #expect(values?[1]?[2]?["structuredMetadata"]?["detected_level"]?.text == "unknown")
        #expect(values?[1]?[2]?["parsed"] == nil)
    }

    @Test func thinsByInterval() async throws {
        let fixture = try await filled()
        let parameters = [("query", "{app=\"web\"}"), ("since", "1h"), ("interval", "2s")]
        let answer = try JSONValue(parsing: try await fixture.get("/loki/api/v1/query_range", parameters).body)
        #expect(
            answer["data"]?["result"]?[0]?["values"]?.elements?.compactMap { $0[1]?.text }
                == ["web line 4", "web line 2", "web line 0"])
    }

    @Test(arguments: [
        (["query": "{"], "parse error at line 1, col 2: syntax error"), ([:], "query"),
        (["query": "{app=\"a\"}", "direction": "up"], "direction"),
        (["query": "{app=\"a\"}", "start": "soon"], "start"), (["query": "{app=\"a\"}", "limit": "x"], "limit"),
        (["query": "{app=\"a\"}", "start": "20", "end": "10"], "end"),
        (["query": "{app=\"a\"}", "step": "-1"], "step"),
    ])
    func saysWhatIsWrong(parameters: [String: String], words: String) async throws {
        let fixture = try await filled()
        let reply = try await fixture.get("/loki/api/v1/query_range", parameters.map { ($0.key, $0.value) })
        #expect(reply.status == 400, "\(reply.text)")
        #expect(reply.text.contains(words), "\(reply.text)")
        #expect(reply.fields["content-type"] == "text/plain; charset=utf-8")
    }

    @Test func logQueriesHaveNoInstant() async throws {
        let fixture = try await filled()
        let reply = try await fixture.get("/loki/api/v1/query", [("query", "{app=\"web\"}")])
        #expect(reply.status == 400)
        #expect(reply.text.contains("log queries are not supported as an instant query type"))
    }
}
