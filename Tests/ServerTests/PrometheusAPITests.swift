import Telemetry
import Testing
import Wire

@testable import Server

/// The Prometheus API, byte for byte where clients look.
@Suite struct PrometheusAPITests {
    private func filled(_ change: (inout ServerDependencies) -> Void = { _ in }) async throws -> ServerFixture {
        let fixture = try await ServerFixture.start(change)
        for minute in 0..<10 {
            let time = ServerFixture.now - Int64(9 - minute) * 60_000
            fixture.metrics.add(["__name__": "up", "job": "a"], time, 1)
            fixture.metrics.add(["__name__": "up", "job": "b"], time, 0.5)
            fixture.metrics.add(["__name__": "requests_total", "job": "a"], time, Double(minute) * 60)
        }
        return fixture
    }

    @Test func answersInstantQueries() async throws {
        let fixture = try await filled()
        #expect(
            try await fixture.text("/api/v1/query", [("query", "up{job=\"a\"}"), ("time", "1700000000")])
                == #"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"#
                + #""__name__":"up","job":"a"},"value":[1700000000,"1"]}]}}"#)
        #expect(
            try await fixture.text("/api/v1/query", [("query", "1+1"), ("time", "1.5")])
                == #"{"status":"success","data":{"resultType":"scalar","result":[1.5,"2"]}}"#)
        #expect(
            try await fixture.text("/api/v1/query", [("query", "\"a\""), ("time", "2023-11-14T22:13:20Z")])
                == #"{"status":"success","data":{"resultType":"string","result":[1700000000,"a"]}}"#)
        #expect(try await fixture.text("/api/v1/query", [("query", "sum(up)")]).contains(#"[1700000000,"1.5"]"#))
    }

    @Test func answersRangeQueriesByGetAndByForm() async throws {
        let fixture = try await filled()
        let parameters = [
            ("query", "up{job=\"b\"}"), ("start", "1699999940"), ("end", "1700000000"), ("step", "1m"),
        ]
        let wanted =
            #"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"up","job":"b"},"#
            + #""values":[[1699999940,"0.5"],[1700000000,"0.5"]]}]}}"#
        #expect(try await fixture.text("/api/v1/query_range", parameters) == wanted)
        #expect(try await fixture.post("/api/v1/query_range", parameters).text == wanted)
    }

    @Test func listsSeriesLabelsAndValues() async throws {
        let fixture = try await filled()
        #expect(
            try await fixture.text("/api/v1/series", [("match[]", "up{job=\"a\"}"), ("match[]", "requests_total")])
                == #"{"status":"success","data":[{"__name__":"requests_total","job":"a"},{"__name__":"up","job":"a"}]}"#
        )
        #expect(
            try await fixture.text("/api/v1/labels") == #"{"status":"success","data":["__name__","job"]}"#)
        #expect(
            try await fixture.text("/api/v1/label/job/values", [("match[]", "up")])
                == #"{"status":"success","data":["a","b"]}"#)
        #expect(
            try await fixture.text("/api/v1/label/job/values", [("limit", "1")])
                == #"{"status":"success","data":["a"],"warnings":["results truncated due to limit"]}"#)
        #expect(
            try await fixture.text("/api/v1/metadata")
                == #"{"status":"success","data":{"up":[{"type":"gauge","unit":"","help":"whether it is up"}]}}"#)
    }

    /// A request and what its error says.
    struct Bad: Sendable, CustomTestStringConvertible {
        var path: String
        var parameters: [String: String]
        var status: Int
        var kind: String
        var words: String
        var testDescription: String { "\(path) \(parameters.sorted { $0.key < $1.key })" }
    }

    static let badRequests = [
        Bad(
            path: "/api/v1/query", parameters: ["query": "up + on(x) group_left up"], status: 422, kind: "execution",
            words: ""),
        Bad(
            path: "/api/v1/query_range", parameters: ["query": "up", "start": "2", "end": "1", "step": "1"],
            status: 400, kind: "bad_data",
            words: "invalid parameter \\\"end\\\": end timestamp must not be before start time"),
        Bad(
            path: "/api/v1/query_range", parameters: ["query": "up", "start": "1", "end": "2", "step": "0"],
            status: 400, kind: "bad_data",
            words: "zero or negative query resolution step widths are not accepted"),
        Bad(
            path: "/api/v1/series", parameters: [:], status: 400, kind: "bad_data",
            words: "no match[] parameter provided"),
        Bad(path: "/api/v1/nothing", parameters: [:], status: 404, kind: "not_found", words: "GET / lists"),
    ]

    @Test(arguments: badRequests)
    func saysWhatIsWrong(bad: Bad) async throws {
        let fixture = try await filled()
        let reply = try await fixture.get(bad.path, bad.parameters.map { ($0.key, $0.value) })
        #expect(reply.status == bad.status, "\(reply.text)")
        #expect(reply.text.hasPrefix(#"{"status":"error","errorType":"\#(bad.kind)","error":""#), "\(reply.text)")
        #expect(reply.text.contains(bad.words), "\(reply.text)")
        #expect(reply.fields["content-type"] == "application/json")
    }

    @Test func refusesBrokenEscapesAndWrongMethods() async throws {
        let fixture = try await filled()
        #expect(try await fixture.send("GET", "/api/v1/query?query=%zz").status == 400)
        #expect(try await fixture.send("GET", "/api/v1/label/%zz/values").status == 400)
        let wrong = try await fixture.send("DELETE", "/api/v1/query")
        #expect(wrong.status == 405)
        #expect(wrong.fields["allow"] == "GET, POST")
    }

    @Test func cutsResultsAtALimit() async throws {
        let fixture = try await filled()
        let text = try await fixture.text("/api/v1/query", [("query", "up"), ("limit", "1")])
        #expect(text.contains(#""warnings":["results truncated due to limit"]"#))
        #expect(!text.contains(#""job":"b""#))
    }

    @Test func looksBackAsFarAsTheRequestSays() async throws {
        let fixture = try await filled()
        let late = [("query", "up"), ("time", "1700000200")]
        #expect(try await fixture.text("/api/v1/query", late).contains(#""job":"a""#))
        #expect(try await fixture.text("/api/v1/query", late + [("lookback_delta", "1m")]).contains(#""result":[]"#))
        let usual = try await fixture.text("/api/v1/query", late)
        for none in ["0", "0s", "-5"] {
            #expect(try await fixture.text("/api/v1/query", late + [("lookback_delta", none)]) == usual, "\(none)")
        }
    }

    @Test func tellsStatisticsWhenAsked() async throws {
        let fixture = try await filled()
        let text = try await fixture.text("/api/v1/query", [("query", "up"), ("stats", "all")])
        #expect(
            text.contains(
                #""samples":{"totalQueryableSamplesPerStep":[[1700000000,2]],"totalQueryableSamples":2,"peakSamples":2}"#
            ))
        #expect(text.contains(#""plan":[{"depth":0,"step":"up","series":2,"seconds":"#))
        #expect(text.contains(#""evalTotalTime":"#))
    }

    @Test func compressesForThoseWhoTakeIt() async throws {
        let fixture = try await filled()
        for index in 0..<200 {
            fixture.metrics.add(["__name__": "many", "index": "\(index)"], ServerFixture.now, 1)
        }
        let plain = try await fixture.get("/api/v1/query", [("query", "many")])
        #expect(plain.fields["content-encoding"] == nil)
        let small = try await fixture.send(
            "GET", "/api/v1/query?query=many", fields: [HTTPField("Accept-Encoding", "deflate, gzip;q=0.9")])
        #expect(small.fields["content-encoding"] == "gzip")
        #expect(small.body.count < plain.body.count / 4)
        #expect(try Compression.gzip.decompress(small.body, bytesMaximum: 1 << 20) == plain.body)
    }

    @Test func streamsAnswersThatAreLarge() async throws {
        let fixture = try await filled()
        let filler = String(repeating: "x", count: 20_000)
        for index in 0..<150 {
            fixture.metrics.add(["__name__": "large", "index": "\(index)", "zfiller": filler], ServerFixture.now, 1)
        }
        let reply = try await fixture.get("/api/v1/query", [("query", "large")])
        #expect(reply.fields["transfer-encoding"] == "chunked")
        let parsed = try JSONValue(parsing: reply.body)
        #expect(parsed["data"]?["result"]?.elements?.count == 150)
    }

    @Test func formatsExpressions() async throws {
        let fixture = try await filled()
        #expect(
            try await fixture.text("/api/v1/format_query", [("query", "sum  by(job)(up)")])
                == #"{"status":"success","data":"sum by (job) (up)"}"#)
    }

    @Test func tellsAboutTheBuildAndTheStore() async throws {
        let fixture = try await filled()
        #expect(try await fixture.text("/api/v1/status/buildinfo").contains(#""version":"1.2.3""#))
        #expect(try await fixture.text("/api/v1/status/tsdb").contains(#""numSeries":3"#))
        #expect(try await fixture.get("/api/v1/status/runtimeinfo").status == 200)
        #expect(try await fixture.get("/api/v1/status/flags").status == 200)
    }
}
