internal import Query
internal import Testing

/// The whole grammar of LogQL is read, printed canonically, and refused with a place.
@Suite struct LogQLParserTests {
    /// Queries and their canonical texts; an empty text means the query is canonical already.
    @Test(arguments: [
        (#"{app="web"}"#, ""),
        (#"{app="web",env!="dev", pod=~"a.+" , x!~"b"} # why"#, #"{app="web", env!="dev", pod=~"a.+", x!~"b"}"#),
        (
            #"{app="web"}|="a" or "b"!="c"|~`\d+`!~"e"|>"<_> f"!>"g""#,
            #"{app="web"} |= "a" or "b" != "c" |~ "\\d+" !~ "e" |> "<_> f" !> "g""#
        ),
        (#"{app="web"} |= ip("10.0.0.0/8") or "x""#, ""),
        // Keywords have no case, labels do.
        (
            #"SUM BY (App) (Count_Over_Time({App="a"} | JSON | X="1" OR Y="2" [1m])) AND vector(1)"#,
            #"(sum by (App) (count_over_time({App="a"} | json | ( X="1" or Y="2" )[1m0s])) and vector(1))"#
        ),
        (
            #"{app="web"} | json | json a, b="c.d[0]" | unpack | decolorize"#,
            #"{app="web"} | json | json a="a",b="c.d[0]" | unpack | decolorize"#
        ),
        (#"{app="web"} | logfmt --strict --keep-empty a="b" | pattern "<ip> <_>" | regexp "(?P<m>\\w+)""#, ""),
        (
            #"{app="web"} | status >= 500 and method="GET" or latency > 1h15m30.9s, size < 20KiB"#,
            #"{app="web"} | ( ( status >= 500 and method="GET" ) or ( latency > 1h15m30.9s and size < 20480B ) )"#
        ),
        (
            #"{app="web"} | addr = ip("10.0.0.1") | a!=ip("::1")"#,
            #"{app="web"} | addr = ip("10.0.0.1") | a != ip("::1")"#
        ),
        (#"{app="web"} | line_format "{{.a}}" | label_format a=b,c="{{.d}}" | drop a,b="c" | keep d"#, ""),
        (#"count_over_time({app="web"}[5m])"#, #"count_over_time({app="web"}[5m0s])"#),
        (#"rate({app="web"}[1m] |= "x" offset 1h)"#, #"rate({app="web"} |= "x"[1m0s] offset 1h0m0s)"#),
        (#"rate(({app="web"} |= "x")[1m])"#, #"rate({app="web"} |= "x"[1m0s])"#),
        (
            #"quantile_over_time(0.99, {app="web"} | json | unwrap duration(t) | t > 1 [1m]) by (a, b)"#,
            #"quantile_over_time(0.99,{app="web"} | json | unwrap duration(t) | t > 1[1m0s]) by (a,b)"#
        ),
        (#"sum(rate({app="web"}[1m])) by (a)"#, #"sum by (a) (rate({app="web"}[1m0s]))"#),
        (#"topk(3, sum without (a) (rate({app="web"}[1m])))"#, #"topk(3,sum without (a) (rate({app="web"}[1m0s])))"#),
        (#"1 + 2 * -3 ^ 2 ^ 1"#, "(1 + (2 * (-3 ^ (2 ^ 1))))"),
        (
            #"rate({a="b"}[1s]) / on (x) group_left (y) rate({a="c"}[1s]) > bool 2 or vector(0)"#,
            #"(((rate({a="b"}[1s]) / on (x) group_left (y) rate({a="c"}[1s])) > bool 2) or vector(0))"#
        ),
        (
            #"label_replace(rate({a="b"}[1s]), "d", "$1", "s", "(.*)")"#,
            #"label_replace(rate({a="b"}[1s]),"d","$1","s","(.*)")"#
        ),
        (#"{app="web"} | json="x" | level!="y""#, ""),
    ])
    func wholeGrammar(_ query: String, _ canonical: String) throws {
        let printed = try Engine.parseLogs(query).description
        #expect(printed == (canonical.isEmpty ? query : canonical))
        #expect(try Engine.parseLogs(printed).description == printed, "canonical text is a fixed point")
    }

    @Test(arguments: [
        ("", "1:1: parse error: syntax error: unexpected $end"),
        ("{", "1:2: parse error: syntax error: unexpected $end, expecting IDENTIFIER"),
        (#"{app="a""#, "1:9: parse error: syntax error: unexpected $end, expecting } or ,"),
        (#"{app="a"} |= 5"#, "1:14: parse error: syntax error: unexpected NUMBER, expecting STRING or ip"),
        ("{app=\"a\"}\n  | bogus", "2:10: parse error: syntax error: unexpected $end"),
        (#"{app="a"} |~ "a(b""#, "1:14: parse error: error parsing regexp: missing closing ): `a(b`"),
        (#"rate({app="a"})"#, "1:1: parse error: rate needs a range such as [5m]"),
        (#"sum_over_time({app="a"}[1m])"#, "1:1: parse error: invalid aggregation sum_over_time without unwrap"),
        (
            #"count_over_time({app="a"} | unwrap x [1m])"#,
            "1:1: parse error: invalid aggregation count_over_time with unwrap"
        ),
        (
            #"sum({app="a"})"#,
            "1:14: parse error: syntax error: unexpected ): sum needs numbers, this is a log query; wrap it in a range "
                + "function such as count_over_time"
        ),
        (#"{app="a"} + 1"#, "1:11: parse error: unexpected type for left leg of binary operation (+): log query"),
        (#"{app="unclosed}"#, "1:6: parse error: syntax error: literal not terminated"),
        (#"{app="a"} ?"#, "1:11: parse error: syntax error: unexpected character '?'"),
        (#"rate({app="a"}[5minutes])"#, #"1:15: parse error: unknown unit "minutes" in duration "5minutes""#),
        (#"rate({app="a"}[5m)"#, "1:15: parse error: missing closing ']' in duration"),
        (#"{app="a",}"#, "1:10: parse error: syntax error: unexpected }, expecting IDENTIFIER"),
        (
            #"sum_over_time(50, {app="a"} | unwrap x [1m])"#,
            "1:15: parse error: parameter 50 not supported for operation sum_over_time"
        ),
        (
            #"quantile_over_time({app="a"} | unwrap x [1m])"#,
            "1:1: parse error: parameter required for operation quantile_over_time"
        ),
        (
            #"count without (rate({app="a"}[15s]))"#,
            "1:16: parse error: syntax error: unexpected RATE, expecting IDENTIFIER or )"
        ),
    ])
    func errorsNameThePlace(_ query: String, _ message: String) {
        let error = #expect(throws: QueryError.self) { try Engine.parseLogs(query) }
        #expect(error.map { "\($0)" } == message)
    }

    @Test func aSelectorMustSelectSomething() {
        let error = #expect(throws: QueryError.self) { try Engine.parseLogs(#"{app=~".*"}"#) }
        #expect(error?.message.contains("does not have an empty-compatible value") == true)
    }

    @Test func nestingIsBounded() {
        let query = String(repeating: "(", count: 10_000) + "1" + String(repeating: ")", count: 10_000)
        #expect(throws: QueryError.self) { try Engine.parseLogs(query) }
    }
}
