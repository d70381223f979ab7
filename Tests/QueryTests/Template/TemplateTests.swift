import TestSupport
import Testing

@testable import Query

/// Annotations come out as Prometheus writes them. The cases of functions follow template/template_test.go of
/// Prometheus; the others follow Go's documentation of `text/template`.
@Suite struct TemplateTests {
    private static let data = TemplateData(
        labels: ["instance": "web-1:9100", "job": "node", "name": "web"], value: 1234567.891,
        externalLabels: ["cluster": "bank-1"], externalURL: "https://vedette.example/base",
        milliseconds: 1_700_000_000_500)

    private func expand(_ text: String, value: Double? = nil) throws -> String {
        var data = TemplateTests.data
        if let value { data.value = value }
        return try Template(text).expand(data) { expression, _ in
            switch expression {
            case "metric":
                [(["__name__": "metric", "instance": "b"], 21), (["__name__": "metric", "instance": "a"], 11)]
            case "none": []
            default: throw QueryError(.parse, "unexpected end of input", line: 1, column: 1)
            }
        }
    }

    @Test(arguments: [
        ("plain text", "plain text"),
        ("", ""),
        ("{{ $labels.job }} on {{ .Labels.instance }}", "node on web-1:9100"),
        ("{{ $labels.missing }}|", "|"),
        ("{{ $externalLabels.cluster }} {{ $externalURL }}", "bank-1 https://vedette.example/base"),
        ("{{ $value }}", "1.234567891e+06"),
        ("{{ .Value | humanize }}", "1.235M"),
        ("{{- 1 -}}  x  {{- 2 }}", "1x2"),
        ("a {{/* a comment */}} b", "a  b"),
        ("a {{- /* a comment */ -}} b", "ab"),
        ("{{ \"quoted \\\"x\\\"\" }} {{ `raw \\n` }} {{ 'a' }}", "quoted \"x\" raw \\n 97"),
        ("{{ 0x1f }} {{ 1.5e3 }} {{ true }} {{ -3 }}", "31 1500 true -3"),
        ("{{ $x := 5 }}{{ $x }}{{ $x = 6 }}{{ $x }}", "56"),
        ("{{ .Missing }}", "error"),
        ("{{ if gt $value 1000.0 }}high{{ else }}low{{ end }}", "high"),
        ("{{ if eq $labels.job \"db\" }}a{{ else if eq $labels.job \"node\" }}b{{ else }}c{{ end }}", "b"),
        ("{{ if and (eq 1 1) (not false) }}yes{{ end }}", "yes"),
        ("{{ or \"\" \"second\" }} {{ and 1 0 2 }}", "second 0"),
        ("{{ with $labels.name }}<{{ . }}>{{ else }}none{{ end }}", "<web>"),
        ("{{ with $labels.nothing }}<{{ . }}>{{ else }}none{{ end }}", "none"),
        (
            "{{ range $i, $x := query \"metric\" | sortByLabel \"instance\" }}{{ $i }}={{ $x.Value }} {{ end }}",
            "0=11 1=21 "
        ),
        ("{{ range query \"none\" }}x{{ else }}empty{{ end }}", "empty"),
        ("{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}", "instance=web-1:9100;job=node;name=web;"),
        ("{{ range 3 }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ . }}{{ end }}", "02"),
        ("{{ range 9 }}{{ if eq . 2 }}{{ break }}{{ end }}{{ . }}{{ end }}", "01"),
        ("{{ query \"metric\" | first | value }}", "21"),
        ("{{ (query \"metric\" | sortByLabel \"instance\" | first).Labels.instance }}", "a"),
        ("{{ query \"metric\" | first | label \"instance\" }}", "b"),
        ("{{ define \"x\" }}[{{ . }}]{{ end }}{{ template \"x\" $labels.job }}", "[node]"),
        ("{{ len $labels.job }} {{ index $labels \"job\" }} {{ slice \"abcdef\" 1 3 }}", "4 node bc"),
        ("{{ print \"a\" 1 2 \"b\" }}", "a1 2b"),
        ("{{ println 1 }}", "1\n"),
        ("{{ $labels }}", "map[instance:web-1:9100 job:node name:web]"),
    ])
    func actionsExpand(_ text: String, _ expected: String) throws {
        if expected == "error" {
            #expect(throws: TemplateError.self) { try expand(text) }
        } else {
            #expect(try expand(text) == expected)
        }
    }

    @Test(arguments: [
        ("{{ humanize 0.0 }}:{{ humanize 1.0 }}:{{ humanize 1234567.0 }}:{{ humanize .12 }}", "0:1:1.235M:120m"),
        ("{{ humanize \"1000000000000000000000000000\" }}", "1000Y"),
        (
            "{{ humanize1024 0.0 }}:{{ humanize1024 1.0 }}:{{ humanize1024 1048576.0 }}:{{ humanize1024 .12 }}",
            "0:1:1Mi:0.12"
        ),
        (
            "{{ humanizeDuration 0 }}:{{ humanizeDuration 1 }}:{{ humanizeDuration 60 }}:{{ humanizeDuration 3600 }}"
                + ":{{ humanizeDuration 86400 }}:{{ humanizeDuration 86400.5 }}:{{ humanizeDuration -60.0 }}",
            "0s:1s:1m 0s:1h 0m 0s:1d 0h 0m 0s:1d 0h 0m 0s:-1m 0s"
        ),
        ("{{ humanizeDuration .1 }}:{{ humanizeDuration .0001 }}:{{ humanizeDuration 12.345 }}", "100ms:100us:12.35s"),
        ("{{ humanizeDuration \"899.99\" }}:{{ humanizeDuration 0.0 }}", "14m 59s:0s"),
        (
            "{{ -0.22222 | humanizePercentage }}:{{ 0.0 | humanizePercentage }}:{{ 0.1234567 | humanizePercentage }}:{{ 1.23456 | humanizePercentage }}",
            "-22.22%:0%:12.35%:123.5%"
        ),
        ("{{ 1435065584.128 | humanizeTimestamp }}", "2015-06-23 13:19:44.128 +0000 UTC"),
        ("{{ 1435065584 | humanizeTimestamp }}", "2015-06-23 13:19:44 +0000 UTC"),
        (
            "{{ title \"aa bb CC\" }}:{{ toUpper \"aa bb CC\" }}:{{ toLower \"aA bB CC\" }}",
            "Aa Bb CC:AA BB CC:aa bb cc"
        ),
        ("{{ match \"a+\" \"aa\" }} {{ match \"a+\" \"b\" }}", "true false"),
        ("{{ reReplaceAll \"(a)b\" \"x$1\" \"ab\" }}", "xa"),
        ("{{ reReplaceAll \"(?P<n>[0-9]+)\" \"<${n}>\" \"a1b22\" }}", "a<1>b<22>"),
        ("{{ reReplaceAll \"b*\" \"-\" \"abc\" }}", "-a-c-"),
        (
            "{{ \"web-1:9100\" | stripPort }} {{ \"[2001:db8::1]:80\" | stripPort }} {{ \"host\" | stripPort }}",
            "web-1 2001:db8::1 host"
        ),
        (
            "{{ \"foo.example:12345\" | stripDomain }} {{ \"192.0.2.1:80\" | stripDomain }} {{ \"foo.example\" | stripDomain }}",
            "foo:12345 192.0.2.1:80 foo"
        ),
        ("{{ graphLink \"up{a='b'} > 1\" }}", "/graph?g0.expr=up%7Ba%3D%27b%27%7D+%3E+1&g0.tab=0"),
        ("{{ pathPrefix }} {{ externalURL }}", "/base https://vedette.example/base"),
        ("{{ parseDuration \"1h2m10ms\" }} {{ toDuration 3661.5 }}", "3720.01 1h1m1.5s"),
        ("{{ (toTime 1700000000) }} {{ now }}", "2023-11-14 22:13:20 +0000 UTC 1.7000000005e+09"),
        ("{{ html \"<a & 'b'>\" }} {{ urlquery \"a b&c\" }}", "&lt;a &amp; &#39;b&#39;&gt; a+b%26c"),
    ])
    func functionsFollowPrometheus(_ text: String, _ expected: String) throws {
        #expect(try expand(text) == expected)
    }

    @Test(arguments: [Double.infinity, -.infinity, .nan])
    func humanizingWhatIsNoNumberSaysSo(_ value: Double) throws {
        let expected = value.isNaN ? "NaN" : value < 0 ? "-Inf" : "+Inf"
        for name in ["humanize", "humanize1024", "humanizeDuration", "humanizeTimestamp"] {
            #expect(try expand("{{ $value | \(name) }}", value: value) == expected)
        }
        #expect(try expand("{{ $value | humanizePercentage }}", value: value) == expected + "%")
    }

    @Test(arguments: [
        ("{{ humanise 1 }}", "1:4: function \"humanise\" not defined"),
        ("a\n  {{ $lables.x }}", "2:6: undefined variable \"$lables\""),
        ("{{ if true }}x", "1:4: {{if}} has no {{end}}"),
        ("{{ end }}", "1:4: unexpected {{end}}"),
        ("{{ \"open }}", "1:4: unterminated quoted string"),
        ("{{ $labels.x", "1:1: unclosed action"),
        ("{{ }}", "1:1: missing value for command"),
        ("{{ 1 | 2 }}", "1:8: non executable command in pipeline stage: 2"),
        ("{{ break }}", "1:4: {{break}} outside {{range}}"),
        ("{{ (1 }}", "1:7: unclosed left paren"),
        ("{{ 12abc }}", "1:4: bad number syntax: \"12abc\""),
        ("{{ # }}", "1:4: unexpected character U+0023 '#' in command"),
    ])
    func aTemplateThatCannotBeReadNamesItsPlace(_ text: String, _ expected: String) {
        #expect(throws: TemplateError.self) { try Template(text) }
        do {
            _ = try Template(text)
        } catch {
            #expect(error.description == expected)
        }
    }

    @Test(arguments: [
        ("{{ first (query \"none\") }}", "1:4: error calling first: first() called on vector with no elements"),
        ("{{ humanize \"abc\" }}", "1:4: error calling humanize: strconv.ParseFloat: parsing \"abc\": invalid syntax"),
        (
            "{{ gt $value 90 }}",
            "1:4: error calling gt: incompatible types for comparison (float64 and int): write the whole number with a point, as in 90.0"
        ),
        (
            "{{ reReplaceAll \"(\" \"\" \"\" }}",
            "1:4: error calling reReplaceAll: error parsing regexp: missing closing ): `(`"
        ),
        ("{{ toUpper 5 }}", "1:4: error calling toUpper: wrong type for value; expected string; got int"),
        ("{{ toUpper }}", "1:4: wrong number of args for toUpper: want 1 got 0"),
        ("{{ template \"x\" }}", "1:4: template \"x\" not defined"),
        (
            "{{ 1e30 | humanizeTimestamp }}",
            "1:11: error calling humanizeTimestamp: 1e+30 cannot be represented as a nanoseconds timestamp since it overflows int64"
        ),
    ])
    func anExpansionThatFailsNamesItsPlace(_ text: String, _ expected: String) throws {
        let template = try Template(text)
        do {
            _ = try template.expand(TemplateTests.data) { _, _ in [] }
            Issue.record("it expanded")
        } catch {
            #expect(error.description == expected)
        }
    }

    @Test func aTemplateThatCallsItselfIsEnded() throws {
        let text = "{{ define \"x\" }}{{ template \"x\" }}{{ end }}{{ template \"x\" }}"
        #expect(throws: TemplateError.self) { try expand(text) }
        #expect(throws: TemplateError.self) { try expand("{{ range 1000000 }}{{ range 1000000 }}x{{ end }}{{ end }}") }
        #expect(throws: TemplateError.self) { try Template(String(repeating: "{{ (", count: 5000)) }
    }

    @Test func aLiteralStandsForItself() throws {
        #expect(try Template(literal: "a {{ b").expand(TemplateTests.data) == "a {{ b")
        #expect(try Template("no action").isLiteral)
        #expect(try !Template("{{ 1 }}").isLiteral)
    }

    @Test func randomTemplatesEnd() throws {
        try TemplateFuzzer.runFromTable()
    }
}
