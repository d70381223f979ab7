import Telemetry
import Testing
import Wire

@testable import Server

/// What Grafana's Explore, dashboards and Logs Drilldown ask before they ask for lines.
@Suite struct LokiDiscoveryTests {
    private func filled() async throws -> ServerFixture {
        let fixture = try await ServerFixture.start()
        let base = ServerFixture.now * 1_000_000 - 60_000_000_000
        var web = LogLines(labels: Labels(["app": "web", "env": "prod"]))
        var database = LogLines(labels: Labels(["app": "db", "env": "prod"]))
        for index in 0..<10 {
            web.append(
                nanoseconds: base + Int64(index) * 1_000_000_000,
                line: Array(
                    #"{"level":"\#(index == 3 ? "error" : "info")","status":20\#(index),"took":"\#(index)ms"}"#.utf8))
        }
        database.append(nanoseconds: base, line: Array("slow query took=3s rows=5".utf8))
        _ = try await fixture.logs.append(LogBatch(streams: [web, database]))
        return fixture
    }

    private func json(
        _ path: String, _ parameters: [(String, String)], _ fixture: ServerFixture
    ) async throws -> JSONValue {
        let get = try await fixture.get(path, parameters)
        #expect(get.status == 200, "\(get.text)")
        // GET and POST with a form are the same.
        let post = try await fixture.post(path, parameters)
        #expect(post.status == 200 && Self.withoutTimes(get.text) == Self.withoutTimes(post.text), "\(post.text)")
        return try JSONValue(parsing: get.body)
    }

    /// What took how long differs from one answer to the next.
    private static func withoutTimes(_ text: String) -> String {
        text.replacing(/"(bytesProcessedPerSecond|linesProcessedPerSecond|execTime)":[^,]*/, with: "")
    }

    @Test func statistics() async throws {
        let answer = try await json("/loki/api/v1/index/stats", [("query", "{env=\"prod\"}")], try await filled())
        #expect(
            String(decoding: answer.encoded, as: UTF8.self) == #"{"streams":2,"chunks":2,"entries":11,"bytes":446}"#)
    }

    @Test func volumes() async throws {
        let fixture = try await filled()
        let series = try await json("/loki/api/v1/index/volume", [("query", "{app=~\".+\"}")], fixture)
        #expect(series["data"]?["resultType"]?.text == "vector")
        #expect(series["data"]?["result"]?.elements?.compactMap { $0["metric"]?["app"]?.text } == ["web", "db"])
        #expect(series["data"]?["result"]?[1]?["value"]?[1]?.text == "25")
        let target = try await json(
            "/loki/api/v1/index/volume", [("query", "{app=~\".+\"}"), ("targetLabels", "env"), ("limit", "1")], fixture)
        #expect(target["data"]?["result"]?[0]?["metric"]?["env"]?.text == "prod")
        let names = try await json(
            "/loki/api/v1/index/volume",
            [("query", "{}"), ("aggregateBy", "labels")], fixture)
        #expect(
            Set(names["data"]?["result"]?.elements?.flatMap { $0["metric"]?.members?.map(\.key) ?? [] } ?? [])
                == ["app", "env"])
        let range = try await json(
            "/loki/api/v1/index/volume_range", [("query", "{app=\"db\"}"), ("step", "30s"), ("since", "2m")], fixture)
        #expect(range["data"]?["resultType"]?.text == "matrix")
        #expect(range["data"]?["result"]?[0]?["values"]?.elements?.count == 1)
        #expect(range["data"]?["result"]?[0]?["values"]?[0]?[1]?.text == "25")
    }

    @Test(arguments: [
        ("-9223372036854775808", "9223372036854775807"), ("0", "9223372036854775807"), ("-9223372036854775808", "0"),
        ("9223372036854775807", "9223372036854775807"), ("-9223372036854775808", "-9223372036854775808"),
    ])
    func timesAtTheEndsOfTheScaleAreAnswered(_ start: String, _ end: String) async throws {
        let fixture = try await filled()
        let isAll = start.hasPrefix("-") && !end.hasPrefix("-") && end != "0" || start == "0"
        let asked = [("query", "{app=\"web\"}"), ("start", start), ("end", end)]
        let stats = try await json("/loki/api/v1/index/stats", asked, fixture)
        #expect(stats["entries"]?.wholeNumber == (isAll ? 10 : 0))
        let volume = try await json("/loki/api/v1/index/volume", asked, fixture)
        #expect(volume["data"]?["result"]?.elements?.count == (isAll ? 1 : 0))
        for path in ["/loki/api/v1/index/volume_range", "/loki/api/v1/patterns"] {
            for step in ["", "1", "8999999999", "1ns"] {
                let answer = try await fixture.get(path, asked + (step.isEmpty ? [] : [("step", step)]))
                #expect([200, 400].contains(answer.status), "\(path) \(step): \(answer.text)")
            }
        }
    }

    @Test func labelsAndFields() async throws {
        let fixture = try await filled()
        let labels = try await json("/loki/api/v1/detected_labels", [("query", "{app=\"web\"}")], fixture)
        #expect(
            String(decoding: labels.encoded, as: UTF8.self)
                == #"{"detectedLabels":[{"label":"app","cardinality":1},{"label":"env","cardinality":1}]}"#)
        let fields = try await json("/loki/api/v1/detected_fields", [("query", "{app=\"web\"}")], fixture)
        let texts = fields["fields"]?.elements?.map { String(decoding: $0.encoded, as: UTF8.self) } ?? []
        #expect(
            Set(texts) == [
                #"{"label":"level","type":"string","cardinality":2,"parsers":["json"]}"#,
                #"{"label":"status","type":"int","cardinality":10,"parsers":["json"]}"#,
                #"{"label":"took","type":"duration","cardinality":10,"parsers":["json"]}"#,
            ])
        #expect(fields["limit"]?.wholeNumber == 1_000)
        let values = try await json(
            "/loki/api/v1/detected_field/level/values", [("query", "{app=\"web\"}"), ("limit", "5")], fixture)
        #expect(Set(values["values"]?.elements?.compactMap(\.text) ?? []) == ["info", "error"])
        #expect(values["limit"]?.wholeNumber == 5)
    }

    @Test func patternsAreCountedOverTime() async throws {
        let fixture = try await filled()
        let answer = try await json(
            "/loki/api/v1/patterns", [("query", "{app=\"web\"}"), ("since", "2m"), ("step", "1m")], fixture)
        let info = answer["data"]?[0]
        #expect(info?["pattern"]?.text == #"{"level":"info","status":<_>,"took":"<_>"}"#)
        #expect(info?["samples"]?.elements?.compactMap { $0[1]?.wholeNumber }.reduce(0, +) == 9)
        // A pattern can be used as it is.
        let pattern = info?["pattern"]?.text ?? ""
        let found = try await fixture.text(
            "/loki/api/v1/query", [("query", "sum(count_over_time({app=\"web\"} |> `\(pattern)` [1h]))")])
        #expect(found.contains(#","9"]"#), "\(found)")
    }

    @Test func theLevelIsALabelWhereItIsAskedFor() async throws {
        let fixture = try await filled()
        let volume = try await fixture.text(
            "/loki/api/v1/query",
            [("query", "sum by (level, detected_level) (count_over_time({app=\"web\"}[1h]))"), ("time", "1700000000")])
        #expect(volume.contains(#"{"metric":{"detected_level":"info"},"value":[1700000000,"9"]}"#), "\(volume)")
        #expect(volume.contains(#"{"metric":{"detected_level":"error"},"value":[1700000000,"1"]}"#), "\(volume)")
        let lines = try await fixture.text(
            "/loki/api/v1/query_range", [("query", "{app=\"web\"} | detected_level=\"error\"")])
        #expect(lines.contains("status") && !lines.contains("info"))
    }

    @Test func whatClientsAskAboutTheServer() async throws {
        let fixture = try await filled()
        let build = try JSONValue(parsing: try await fixture.get("/loki/api/v1/status/buildinfo").body)
        #expect(build["version"]?.text?.hasPrefix("3.") == true && build["revision"]?.text == "abc")
        #expect(try await fixture.get("/ready").status == 200)
        let limits = try JSONValue(parsing: try await fixture.get("/loki/api/v1/drilldown-limits").body)
        #expect(limits["limits"]?["volume_enabled"] == .boolean(true))
        for path in ["/loki/api/v1/rules", "/prometheus/api/v1/rules"] {
            let rules = try JSONValue(parsing: try await fixture.get(path).body)
            #expect(rules["data"]?["groups"] != nil)
        }
        let series = try await fixture.text("/loki/api/v1/series", [("match[]", "{}")])
        #expect(series.contains(#"{"app":"db","env":"prod"}"#))
    }

    @Test(
        arguments: [
            ("/loki/api/v1/index/volume", [("query", "{app=\"a\"}"), ("aggregateBy", "x")], "aggregateBy"),
            ("/loki/api/v1/index/stats", [("query", "{")], "query"),
            ("/loki/api/v1/detected_fields", [], "query"),
            ("/loki/api/v1/patterns", [("query", "{app=\"a\"}"), ("step", "1ms")], "step"),
            ("/loki/api/v1/tail", [("query", "{app=\"a\"}"), ("delay_for", "9")], "delay_for"),
            ("/loki/api/v1/tail", [("query", "rate({app=\"a\"}[1m])")], "lines"),
            ("/loki/api/v1/tail", [("query", "{app=\"a\"}"), ("cursor", "x")], "cursor"),
            ("/api/v1/logs/lines", [("query", "{app=\"a\"}"), ("limit", "99999999")], "limit"),
            ("/api/v1/logs/context", [("query", "{app=\"a\"}")], "time"),
        ] as [(String, [(String, String)], String)])
    func saysWhatIsWrong(path: String, parameters: [(String, String)], words: String) async throws {
        let reply = try await ServerFixture.start().get(path, parameters)
        #expect(reply.status == 400, "\(reply.text)")
        #expect(reply.text.contains(words), "\(reply.text)")
    }
}
