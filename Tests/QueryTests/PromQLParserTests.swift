internal import Query
internal import Testing

/// What the parser takes, prints, and refuses in Prometheus' words.
struct PromQLParserTests {
    /// What was written, and its canonical text.
    static let canonical: [(String, String)] = [
        ("sum(  up )by(job)", "sum by (job) (up)"),
        ("sum without() (up)", "sum without () (up)"),
        ("TOPK(3,up)", "topk(3, up)"),
        ("rate(a_total[300s])", "rate(a_total[5m])"),
        ("a{b='c',}", "a{b=\"c\"}"),
        ("{'a.b', \"c d\"='e'}", "{\"c d\"=\"e\",__name__=\"a.b\"}"),
        ("a offset 90s @ 1.5", "a @ 1.500 offset 1m30s"),
        ("a[5m] @ end() offset -1h", "a[5m] @ end() offset -1h"),
        ("max_over_time(a[1h:5m] @ start())", "max_over_time(a[1h:5m] @ start())"),
        ("a[1h:]", "a[1h:]"),
        ("a[2*step()+min_of(1m,range())]", "a[2 * step() + min_of(1m, range())]"),
        ("a[(30s)] offset (15)", "a[30s] offset 15s"),
        ("a offset -(1m+2)", "a offset -(1m + 2)"),
        ("1+2*3^-2", "1 + 2 * 3 ^ -2"),
        ("-a^2", "-a ^ 2"),
        ("a + on(x) group_left(y, \"z.z\") b", "a + on (x) group_left (y, \"z.z\") b"),
        ("a == bool ignoring(x) b", "a == bool ignoring (x) b"),
        ("a + fill_right(2) fill_left(1) b", "a + fill_left (1) fill_right (2) b"),
        ("a + fill(-1) b", "a + fill (-1) b"),
        ("increase(a[5m] smoothed)", "increase(a[5m] smoothed)"),
        ("a </ 5", "a </ 5"),
        ("0x1F", "31"),
        ("1_000.5", "1000.5"),
        ("0755", "493"),
        ("1e3", "1000"),
        (".5", "0.5"),
        ("5m", "5m"),
        ("-Inf", "-Inf"),
        ("NaN", "NaN"),
        ("a # the end\n + b", "a + b"),
        ("`a\\b`", "\"a\\\\b\""),
        ("'\\u00e9\\x41\\101'", "\"éAA\""),
        ("min", "min"),
        ("sum by (on, by, sum) (offset)", "sum by (on, by, sum) (offset)"),
        ("fill + start{end=\"x\"}", "fill + start{end=\"x\"}"),
        ("start() + end() + range()", "start() + end() + range()"),
    ]

    @Test(arguments: canonical)
    func aQueryIsPrintedInItsCanonicalForm(written: String, printed: String) throws {
        let expression = try Engine.parse(written)
        #expect(expression.description == printed)
        #expect(try Engine.parse(printed) == expression)
    }

    /// What is refused, and how.
    static let refused: [(String, String)] = [
        ("", "unknown position: parse error: no expression found in input"),
        ("# only a comment", "1:1: parse error: no expression found in input"),
        ("1 +", "1:4: parse error: unexpected end of input"),
        ("(1", "1:3: parse error: unclosed left parenthesis"),
        ("1)", "1:3: parse error: unexpected right parenthesis ')'"),
        ("abs(a, , b)", "1:6: parse error: trailing commas not allowed in function call args"),
        ("sum(a, =)", "1:6: parse error: trailing commas not allowed in function call args"),
        ("a[5m", "1:5: parse error: unclosed left bracket"),
        ("a{", "1:3: parse error: unexpected end of input inside braces"),
        ("a{b}", "1:4: parse error: unexpected \"}\" in label matching, expected label matching operator"),
        ("a{b=1}", "1:5: parse error: unexpected character inside braces: '1'"),
        ("a{b=\"c\" d}", "1:9: parse error: unexpected identifier \"d\" in label matching, expected \",\" or \"}\""),
        ("a{b=~\"*\"}", "1:3: parse error: error parsing regexp: missing argument to repetition operator: `*`"),
        ("sum(a) foo", "1:8: parse error: unexpected identifier \"foo\""),
        ("sum(a b)", "1:7: parse error: unexpected identifier \"b\" in aggregation"),
        ("sum by a (b)", "1:8: parse error: unexpected identifier \"a\" in grouping opts, expected \"(\""),
        ("sum by (,) (b)", "1:9: parse error: unexpected \",\" in grouping opts, expected label"),
        ("sum()", "1:1: parse error: no arguments for aggregate expression provided"),
        ("topk(a)", "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1"),
        ("topk(a, b)", "1:6: parse error: expected type scalar in aggregation parameter, got instant vector"),
        ("rate(a)", "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector"),
        ("rate(a[5m], 1)", "1:1: parse error: expected 1 argument(s) in call to \"rate\", got 2"),
        ("round()", "1:1: parse error: expected at least 1 argument(s) in call to \"round\", got 0"),
        ("round(a, 1, 2)", "1:1: parse error: expected at most 2 argument(s) in call to \"round\", got 3"),
        ("abs(a,)", "1:6: parse error: trailing commas not allowed in function call args"),
        ("what(a)", "1:1: parse error: unknown function with name \"what\""),
        ("a[5m] + 1", "1:1: parse error: binary expression must contain only scalar and instant vector types"),
        ("1 == 2", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
        ("a + bool b", "1:3: parse error: bool modifier can only be used on comparison operators"),
        ("1 and a", "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"),
        ("a and on(x) group_left() b", "1:1: parse error: no grouping allowed for \"and\" operation"),
        ("a / on(x) group_left(x) b", "1:3: parse error: label \"x\" must not occur in ON and GROUP clause at once"),
        ("a + on(x) 1", "1:1: parse error: vector matching only allowed between instant vectors"),
        ("a offset 1m offset 2m", "1:1: parse error: offset may not be set multiple times"),
        (
            "(a) offset 1m",
            "1:1: parse error: offset modifier must be preceded by an instant vector selector or range vector selector"
                + " or a subquery"
        ),
        (
            "a offset",
            "1:9: parse error: unexpected end of input in offset, expected number, duration, step(), or range()"
        ),
        ("a @ b", "1:5: parse error: unexpected identifier \"b\" in @, expected timestamp"),
        ("a @ Inf", "1:1: parse error: timestamp out of bounds for @ modifier: +Inf"),
        ("a[0s]", "1:3: parse error: duration must be greater than 0"),
        ("a[1hs]", "1:3: parse error: unknown unit \"hs\" in duration \"1hs\""),
        ("a[1m1h]", "1:3: parse error: not a valid duration string: \"1m1h\""),
        ("1[5m]", "1:2: parse error: ranges only allowed for vector selectors"),
        ("a offset 1m[5m]", "1:12: parse error: no offset modifiers allowed before range"),
        ("a[5m][1h:]", "1:1: parse error: subquery is only allowed on instant vector, got matrix instead"),
        (
            "-\"x\"",
            "1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got "
                + "\"string\""
        ),
        ("a\n+\n  %", "3:3: parse error: unexpected <op:%>"),
        ("\"a", "1:1: parse error: unterminated quoted string"),
        ("\"\\q\"", "1:1: parse error: unknown escape sequence U+0071 'q'"),
        ("1abc", "1:1: parse error: bad number or duration syntax: \"1\""),
        ("a $ b", "1:3: parse error: unexpected character: '$'"),
    ]

    @Test(arguments: refused)
    func aQueryIsRefusedInPrometheusWords(written: String, reason: String) {
        let error = #expect(throws: QueryError.self) { try Engine.parse(written) }
        #expect(error?.description == reason)
    }

    @Test func nestingIsBounded() {
        let deep = String(repeating: "(", count: 5000) + "1" + String(repeating: ")", count: 5000)
        #expect(throws: QueryError.self) { try Engine.parse(deep) }
        let long = Array(repeating: "a", count: 5000).joined(separator: " + ")
        #expect(throws: QueryError.self) { try Engine.parse(long) }
        let signs = String(repeating: "-", count: 5000) + "a"
        #expect(throws: QueryError.self) { try Engine.parse(signs) }
        let fits = Array(repeating: "a", count: 300).joined(separator: " + ")
        #expect(throws: Never.self) { try Engine.parse(fits) }
    }
}
