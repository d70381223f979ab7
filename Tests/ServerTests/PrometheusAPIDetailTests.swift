import Alerting
import Telemetry
import Testing
import Wire

@testable import Server

/// What clients of Prometheus rely on beside queries: exact words of errors, trees, pages of rules, federation,
/// origins.
@Suite struct PrometheusAPIDetailTests {
    /// A request and the whole of its error.
    struct Refusal: Sendable, CustomTestStringConvertible {
        var path: String
        var parameters: [String: String] = [:]
        var error: String
        var testDescription: String { "\(path) \(parameters.sorted { $0.key < $1.key })" }
    }

    private static let range = ["query": "up", "start": "1", "end": "2", "step": "1"]

    static let refusals = [
        Refusal(
            path: "query",
            error: #"invalid parameter "query": unknown position: parse error: no expression found in input"#),
        Refusal(
            path: "query", parameters: ["query": "up{"],
            error: #"invalid parameter "query": 1:4: parse error: unexpected end of input inside braces"#),
        Refusal(
            path: "query", parameters: ["query": "up", "time": "soon"],
            error: #"invalid parameter "time": invalid time value for 'time': cannot parse "soon" to a valid timestamp"#
        ),
        Refusal(
            path: "query", parameters: ["query": "up", "timeout": "x"],
            error: #"invalid parameter "timeout": cannot parse "x" to a valid duration"#),
        Refusal(
            path: "query", parameters: ["query": "up", "lookback_delta": "x"],
            error: #"error parsing lookback delta duration: cannot parse "x" to a valid duration"#),
        Refusal(
            path: "query", parameters: ["query": "up", "limit": "x"],
            error: #"invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax"#),
        Refusal(
            path: "query", parameters: ["query": "up", "limit": "-1"],
            error: #"invalid parameter "limit": limit must be non-negative"#),
        Refusal(
            path: "query_range", parameters: ["query": "up"],
            error: #"invalid parameter "start": cannot parse "" to a valid timestamp"#),
        Refusal(
            path: "query_range", parameters: range.merging(["step": ""]) { $1 },
            error: #"invalid parameter "step": cannot parse "" to a valid duration"#),
        Refusal(
            path: "query_range", parameters: range.merging(["step": "148966367200.372"]) { $1 },
            error: #"invalid parameter "step": cannot parse "148966367200.372" to a valid duration. "#
                + "It overflows int64"),
        Refusal(
            path: "query_range", parameters: range.merging(["end": "99999"]) { $1 },
            error: "exceeded maximum resolution of 11,000 points per timeseries. "
                + "Try decreasing the query resolution (?step=XX)"),
        Refusal(
            path: "query_range", parameters: range.merging(["query": "up[1m]"]) { $1 },
            error: #"invalid parameter "query": invalid expression type "range vector" for range query, "#
                + "must be Scalar or instant Vector"),
        Refusal(
            path: "series", parameters: ["match[]": "{a=}"],
            error: #"invalid parameter "match[]": 1:4: parse error: unexpected "}" in label matching, expected string"#
        ),
        Refusal(
            path: "labels", parameters: ["match[]": "{a=}"],
            error: #"1:4: parse error: unexpected "}" in label matching, expected string"#),
        Refusal(
            path: "label/job/values", parameters: ["match[]": #"{a=""}"#],
            error: "match[] must contain at least one non-empty matcher"),
        Refusal(path: "metadata", parameters: ["limit": "x"], error: "limit must be a number"),
        Refusal(path: "metadata", parameters: ["limit_per_metric": "x"], error: "limit_per_metric must be a number"),
        Refusal(path: "status/tsdb", parameters: ["limit": "0"], error: "limit must be a positive number"),
        Refusal(path: "status/tsdb", parameters: ["limit": "10001"], error: "limit must not exceed 10000"),
        Refusal(
            path: "rules", parameters: ["type": "x"],
            error: #"invalid parameter "type": not supported value "x""#),
        Refusal(
            path: "rules", parameters: ["exclude_alerts": "perhaps"],
            error: #"invalid parameter "exclude_alerts": error converting exclude_alerts: "#
                + #"strconv.ParseBool: parsing "perhaps": invalid syntax"#),
        Refusal(
            path: "rules", parameters: ["group_next_token": "x"],
            error: #"invalid parameter "group_next_token": "#
                + "group_limit needs to be present in order to paginate over the groups"),
        Refusal(
            path: "rules", parameters: ["group_limit": "0"],
            error: #"invalid parameter "group_limit": group_limit needs to be greater than 0"#),
        Refusal(
            path: "rules", parameters: ["group_limit": "1", "group_next_token": "x"],
            error: #"invalid parameter "group_next_token": invalid group_next_token 'x'. were rule groups changed?"#),
        Refusal(
            path: "parse_query", parameters: ["query": "sum("],
            error: #"invalid parameter "query": 1:5: parse error: unclosed left parenthesis"#),
    ]

    @Test(arguments: refusals)
    func errorsAreThoseOfPrometheus(refusal: Refusal) async throws {
        let fixture = try await ServerFixture.start()
        let reply = try await fixture.get("/api/v1/\(refusal.path)", refusal.parameters.map { ($0.key, $0.value) })
        #expect(reply.status == 400, "\(reply.text)")
        let answer = try JSONValue(parsing: reply.body)
        #expect(answer["errorType"]?.text == "bad_data")
        #expect(answer["error"]?.text == refusal.error)
    }

    /// An expression and its tree.
    static let trees: [(String, String)] = [
        (
            "-a{b=\"c\"} offset 5m @ end()",
            #"{"expr":{"anchored":false,"matchers":[{"name":"b","type":"=","value":"c"},"#
                + #"{"name":"__name__","type":"=","value":"a"}],"name":"a","offset":300000,"offsetExpr":null,"#
                + #""smoothed":false,"startOrEnd":"end","timestamp":null,"type":"vectorSelector"},"#
                + #""op":"-","type":"unaryExpr"}"#
        ),
        (
            #"rate({"m"}[(5+1) + step()] @ 1.5)"#,
            #"{"args":[{"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"m"}],"name":"","#
                + #""offset":0,"offsetExpr":null,"range":0,"rangeExpr":{"lhs":{"#
                + #""lhs":{"duration":false,"type":"numberLiteral","val":"5"},"op":"+","#
                + #""rhs":{"duration":false,"type":"numberLiteral","val":"1"},"type":"durationExpr","wrapped":true},"#
                + #""op":"+","rhs":{"lhs":null,"op":"step","rhs":null,"type":"durationExpr","wrapped":false},"#
                + #""type":"durationExpr","wrapped":false},"smoothed":false,"startOrEnd":null,"timestamp":1500,"#
                + #""type":"matrixSelector"}],"func":{"argTypes":["matrix"],"name":"rate","returnType":"vector","#
                + #""variadic":0},"type":"call"}"#
        ),
        (
            "max_over_time(up[1h:5m])",
            #"{"args":[{"expr":{"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"up"}],"#
                + #""name":"up","offset":0,"offsetExpr":null,"smoothed":false,"startOrEnd":null,"timestamp":null,"#
                + #""type":"vectorSelector"},"offset":0,"offsetExpr":null,"range":3600000,"rangeExpr":null,"#
                + #""startOrEnd":null,"step":300000,"stepExpr":null,"timestamp":null,"type":"subquery"}],"#
                + #""func":{"argTypes":["matrix"],"name":"max_over_time","returnType":"vector","variadic":0},"#
                + #""type":"call"}"#
        ),
        (
            "count_values without (x) (\"v\", vector(1)) > bool on (j) group_left fill_left (2) vector(NaN)",
            #"{"bool":true,"lhs":{"expr":{"args":[{"type":"numberLiteral","val":"1"}],"func":{"#
                + #""argTypes":["scalar"],"name":"vector","returnType":"vector","variadic":0},"type":"call"},"#
                + #""grouping":["x"],"op":"count_values","param":{"type":"stringLiteral","val":"v"},"#
                + #""type":"aggregation","without":true},"matching":{"card":"many-to-one","#
                + #""fillValues":{"lhs":2,"rhs":null},"include":[],"labels":["j"],"on":true},"op":">","rhs":{"#
                + #""args":[{"type":"numberLiteral","val":"NaN"}],"func":{"argTypes":["scalar"],"name":"vector","#
                + #""returnType":"vector","variadic":0},"type":"call"},"type":"binaryExpr"}"#
        ),
        (
            "(1) / 2",
            #"{"bool":false,"lhs":{"expr":{"type":"numberLiteral","val":"1"},"type":"parenExpr"},"matching":null,"#
                + #""op":"/","rhs":{"type":"numberLiteral","val":"2"},"type":"binaryExpr"}"#
        ),
    ]

    @Test(arguments: trees)
    func expressionsAreShownAsTrees(expression: String, tree: String) async throws {
        let fixture = try await ServerFixture.start()
        let wanted = #"{"status":"success","data":\#(tree)}"#
        #expect(try await fixture.text("/api/v1/parse_query", [("query", expression)]) == wanted)
        #expect(try await fixture.post("/api/v1/parse_query", [("query", expression)]).text == wanted)
    }

    /// Exemplars of one series, whatever is asked for.
    private struct OneExemplar: ExemplarSource {
        func exemplars(
            selectors: [[LabelMatcher]], range: TimeRange, in context: QueryContext
        ) throws -> [SeriesExemplars] {
            let labels = Labels(["__name__": "\(selectors.count) selectors"])
            let exemplar = Exemplar(labels: Labels(["trace_id": "a"]), milliseconds: 1_600_096_945_479, value: 6)
            return range.contains(exemplar.milliseconds) ? [SeriesExemplars(labels: labels, exemplars: [exemplar])] : []
        }
    }

    @Test func exemplarsAreThoseOfAllSelectors() async throws {
        let fixture = try await ServerFixture.start { $0.exemplarSource = OneExemplar() }
        func ask(_ query: String, _ more: [(String, String)] = []) async throws -> HTTPReply {
            try await fixture.post("/api/v1/query_exemplars", [("query", query)] + more)
        }
        #expect(
            try await ask("rate(a[5m]) / b").text
                == #"{"status":"success","data":[{"seriesLabels":{"__name__":"2 selectors"},"exemplars":["#
                + #"{"labels":{"trace_id":"a"},"value":"6","timestamp":1600096945.479}]}]}"#)
        let none = #"{"status":"success","data":[]}"#
        #expect(try await ask("up", [("start", "1600096946")]).text == none)
        #expect(try await ask("vector(1)").status == 204)
        let broken = try await ask("up{")
        #expect(broken.status == 400)
        #expect(broken.text.contains(#""error":"1:4: parse error: unexpected end of input inside braces""#))
        let backwards = try await ask("up", [("start", "2"), ("end", "1")])
        #expect(backwards.text.contains("end timestamp must not be before start timestamp"))
        let without = try await ServerFixture.start()
        #expect(try await without.get("/api/v1/query_exemplars", [("query", "test")]).text == none)
    }

    @Test func longExpressionsAreBrokenOverLines() async throws {
        let fixture = try await ServerFixture.start()
        let long =
            #"sum by(job) (rate(requests_total{job="a-long-name",instance="another-long-name"}[5m])) / "#
            + "on(job) group_left sum by (job) (limit)"
        let reply = try await fixture.get("/api/v1/format_query", [("query", long)])
        let text = try JSONValue(parsing: reply.body)["data"]?.text
        #expect(
            text == """
                  sum by (job) (rate(requests_total{instance="another-long-name",job="a-long-name"}[5m]))
                / on (job) group_left ()
                  sum by (job) (limit)
                """)
    }

    @Test func labelsWithAnyNameHaveValues() async throws {
        let fixture = try await ServerFixture.start()
        fixture.metrics.add(["__name__": "up", "http.method": "GET", "a_b": "c"], ServerFixture.now, 1)
        for (name, values) in [
            ("U__http_2e_method", #"["GET"]"#), ("http.method", #"["GET"]"#), ("U__a__b", #"["c"]"#),
            ("a_b", #"["c"]"#), ("U__http_2e", "[]"),
        ] {
            let text = try await fixture.text("/api/v1/label/\(name)/values")
            #expect(text == #"{"status":"success","data":\#(values)}"#, "\(name)")
        }
    }

    @Test func timesThatCannotBeAreEmptyAndNoError() async throws {
        let fixture = try await ServerFixture.start()
        fixture.metrics.add(["__name__": "up"], ServerFixture.now, 1)
        for path in ["/api/v1/labels", "/api/v1/series"] {
            let backwards = [("match[]", "up"), ("start", "2000000000"), ("end", "1")]
            #expect(try await fixture.text(path, backwards) == #"{"status":"success","data":[]}"#)
        }
        let whole = [
            ("match[]", "up"), ("start", "-292273086-05-16T16:47:06Z"), ("end", "292277025-08-18T07:12:54.999999999Z"),
        ]
        #expect(try await fixture.text("/api/v1/series", whole) == #"{"status":"success","data":[{"__name__":"up"}]}"#)
    }

    @Test func metadataIsCut() async throws {
        let fixture = try await ServerFixture.start()
        let all =
            #"{"status":"success","data":{"up":[{"type":"gauge","unit":"","help":"whether it is up"}]}}"#
        #expect(try await fixture.text("/api/v1/metadata") == all)
        #expect(try await fixture.text("/api/v1/metadata", [("limit", "1"), ("limit_per_metric", "1")]) == all)
        #expect(try await fixture.text("/api/v1/metadata", [("limit", "-1")]) == all)
        #expect(
            try await fixture.text("/api/v1/metadata", [("limit", "0")]) == #"{"status":"success","data":{}}"#)
        #expect(
            try await fixture.text("/api/v1/metadata", [("metric", "x")]) == #"{"status":"success","data":{}}"#)
    }

    @Test func rulesAreFilteredAndPaged() async throws {
        let fixture = try await ServerFixture.start()
        func names(_ parameters: [(String, String)]) async throws -> [String] {
            let reply = try await fixture.get("/api/v1/rules", parameters)
            let groups = try JSONValue(parsing: reply.body)["data"]?["groups"]?.elements ?? []
            return groups.flatMap { $0["rules"]?.elements ?? [] }.compactMap { $0["name"]?.text }
        }
        #expect(try await names([("type", "ALERT")]) == ["ContainerOOMKilled"])
        #expect(try await names([("match[]", #"{severity="page"}"#)]) == ["ContainerOOMKilled"])
        #expect(try await names([("match[]", #"{severity="none"}"#)]) == [])
        #expect(try await names([("rule_name[]", "job:up:sum"), ("rule_group[]", "containers")]) == ["job:up:sum"])
        #expect(try await names([("rule_group[]", "other")]) == [])
        #expect(try await names([("file[]", "rules/containers.yml")]).count == 2)
        #expect(try await names([("group_limit", "1")]).count == 2)
        let text = try await fixture.text("/api/v1/rules", [("exclude_alerts", "T"), ("type", "alert")])
        #expect(text.contains(#""alerts":null"#))
        #expect(text.contains(#""query":"container_oom_events_total > 0""#))
    }

    @Test func anotherPrometheusCanReadTheNewestSamples() async throws {
        let fixture = try await ServerFixture.start()
        let now = ServerFixture.now
        fixture.metrics.add(["__name__": "up", "job": "a", "instance": "i"], now - 60_000, 0)
        fixture.metrics.add(["__name__": "up", "job": "a", "instance": "i"], now - 1_000, 1)
        fixture.metrics.add(["__name__": "up", "job": "b"], now - 2_000, 0.5)
        fixture.metrics.add(["__name__": "up", "job": "old"], now - 400_000, 1)
        fixture.metrics.add(["__name__": "up", "job": "gone"], now - 1_000, Sample.stale)
        fixture.metrics.add(["__name__": "http.requests", "a.b": "c\"d"], now, 1e9)
        let reply = try await fixture.get("/federate", [("match[]", "up"), ("match[]", #"{"http.requests"}"#)])
        #expect(reply.fields["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
        #expect(
            reply.text == """
                # TYPE http_requests untyped
                http_requests{a_b="c\\"d",instance=""} 1e+09 1700000000000
                # TYPE up untyped
                up{instance="i",job="a"} 1 1699999999000
                up{instance="",job="b"} 0.5 1699999998000

                """)
        #expect(try await fixture.get("/federate", [("match[]", "{")]).status == 400)
        #expect(try await fixture.get("/federate").text.isEmpty)
    }

    @Test func pagesOfAllowedOriginsMayAsk() async throws {
        let open = try await ServerFixture.start { dependencies in
            dependencies.options.crossOrigin = try? RegularExpression(#"https://(grafana|status)\.example"#)
            let reader = Principal(name: "page", permissions: [.read])
            dependencies.tokens = { [AccessToken(secret: Array("secret".utf8), principal: reader)] }
        }
        func ask(
            _ fixture: ServerFixture, _ method: String, _ origin: String, token: String = "secret"
        ) async throws -> HTTPReply {
            let fields = [HTTPField("Origin", origin), HTTPField("Authorization", "Bearer \(token)")]
            return try await fixture.send(method, "/api/v1/labels", fields: fields)
        }
        // Browsers ask first, and without credentials.
        let preflight = try await ask(open, "OPTIONS", "https://grafana.example", token: "")
        #expect(preflight.status == 204)
        #expect(preflight.fields["access-control-allow-origin"] == "https://grafana.example")
        #expect(preflight.fields["access-control-allow-methods"] == "GET, POST, OPTIONS")
        #expect(preflight.fields["allow"] == "GET, POST")
        let answer = try await ask(open, "GET", "https://status.example")
        #expect(answer.status == 200)
        #expect(answer.fields["access-control-allow-origin"] == "https://status.example")
        let other = try await ask(open, "GET", "https://grafana.example.evil")
        #expect(other.status == 200)
        #expect(other.fields["access-control-allow-origin"] == nil)
        // Without a token, no page of another host is answered at all.
        let tokenless = try await ask(ServerFixture.start(), "GET", "https://grafana.example")
        #expect(tokenless.status == 403)
        #expect(tokenless.fields["access-control-allow-origin"] == nil)
        #expect(try await open.send("OPTIONS", "/api/v1/nothing").status == 404)
    }

    @Test func tellsWhatIsConfiguredAndWhatIsKept() async throws {
        let fixture = try await ServerFixture.start { dependencies in
            dependencies.configuration = {
                ConfigurationStatus(yaml: "a: 1\n", isGood: false, readMilliseconds: 1_500)
            }
        }
        fixture.metrics.add(["__name__": "up", "job": "a"], ServerFixture.now, 1)
        let configuration = try await fixture.text("/api/v1/status/config")
        #expect(configuration == #"{"status":"success","data":{"yaml":"a: 1\n"}}"#)
        let reply = try await fixture.get("/api/v1/status/runtimeinfo")
        let process = try JSONValue(parsing: reply.body)["data"]
        #expect(process?["reloadConfigSuccess"]?.truth == false)
        #expect(process?["lastConfigTime"]?.text == "1970-01-01T00:00:01.5Z")
        for name in ["CWD", "hostname", "startTime", "serverTime"] {
            #expect(process?[name]?.text?.isEmpty == false, "\(name)")
        }
        let store = try await fixture.text("/api/v1/status/tsdb")
        for name in [
            "headStats", "seriesCountByMetricName", "labelValueCountByLabelName", "memoryInBytesByLabelName",
            "seriesCountByLabelValuePair",
        ] {
            #expect(store.contains("\"\(name)\":"), "\(name)")
        }
        #expect(
            try await fixture.text("/api/v1/scrape_pools") == #"{"status":"success","data":{"scrapePools":[]}}"#)
        #expect(
            try await fixture.text("/api/v1/alertmanagers")
                == #"{"status":"success","data":{"activeAlertmanagers":[],"droppedAlertmanagers":[]}}"#)
        #expect(
            try await fixture.text("/api/v1/status/walreplay")
                == #"{"status":"success","data":{"min":0,"max":0,"current":0}}"#)
    }
}
