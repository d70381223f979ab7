internal import TestSupport
internal import Testing

@testable import Telemetry

@Suite struct RegularExpressionTests {
    @Test func matchesWholeOrInPart() throws {
        let expression = try RegularExpression("a+b")
        #expect(expression.matchesWhole("aab"))
        #expect(!expression.matchesWhole("xaab"))
        #expect(expression.matches("xaabx"))
        #expect(try RegularExpression("A", foldCase: true).matchesWhole("a"))
        #expect(try RegularExpression("a|ab").matchesWhole("ab"), "the whole text decides, not the first alternative")
        #expect(try RegularExpression("").matchesWhole(""))
        #expect(try !RegularExpression("").matchesWhole("x"))
        #expect(try RegularExpression("").matches("x"))
    }

    @Test func literalsMatchThemselvesAlone() throws {
        let literal = try RegularExpression("a-b/c_é")
        #expect(literal.isLiteral)
        #expect(literal.matchesWhole("a-b/c_é"))
        #expect(!literal.matchesWhole("a-b/c_éx"))
        #expect(literal.matches("x a-b/c_é y"))
        #expect(try !RegularExpression("a.b").isLiteral)
        #expect(try !RegularExpression("ab", foldCase: true).isLiteral)
    }

    @Test func findsGroups() throws {
        let expression = try RegularExpression(#"(?<key>\w+)=(?P<value>\d+)|(x)"#)
        #expect(expression.groupNames == ["key", "value", nil])
        let text = Array("  a=12 x".utf8)
        text.withUnsafeBytes { raw in
            #expect(expression.firstMatch(in: raw) == [2..<6, 2..<3, 4..<6, nil])
            #expect(expression.firstMatch(in: raw, from: 4) == [7..<8, nil, nil, 7..<8])
            #expect(expression.firstMatch(in: raw, from: 8) == nil)
            #expect(expression.firstMatch(in: raw, from: 99) == nil)
        }
    }

    @Test(arguments: [
        (#"\(?<x>"#, "(<x>"), ("[(?<a>]+", "(?<a>"), ("[](?<a>]+", "](?<a>"), ("[[:alpha:](?<]+", "a(?<"),
        (#"\Q(?<a>\E"#, "(?<a>"), (#"[\](?<a>]+"#, "](?<a>"),
    ])
    func leavesWhatOnlyLooksLikeAGroup(pattern: String, text: String) throws {
        #expect(try RegularExpression(pattern).matchesWhole(text))
    }

    /// The words of Go's regexp/syntax.
    @Test(arguments: [
        ("a(b", "missing closing ): `a(b`"), ("a)b", "unexpected ): `a)b`"), ("a[b", "missing closing ]: `[b`"),
        ("*a", "missing argument to repetition operator: `*`"), ("a**", "invalid nested repetition operator: `**`"),
        ("a{1001}", "invalid repeat count: `{1001}`"), (#"\8"#, #"invalid escape sequence: `\8`"#),
        ("[b-a]", "invalid character class range: `b-a`"), ("(?<a", "invalid named capture: `(?<a`"),
        ("(?<a-b>x)", "invalid named capture: `(?<a-b>`"), ("(?z)", "invalid or unsupported Perl syntax: `(?z`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"), (#"a\"#, "trailing backslash at end of expression"),
    ])
    func refusesInGosWords(pattern: String, reason: String) {
        let error = #expect(throws: RegularExpressionError.self) { try RegularExpression(pattern) }
        #expect(error?.reason == reason)
        #expect(error?.pattern == pattern)
        #expect(error?.description == "error parsing regexp: \(reason)")
    }

    @Test func staysLinear() throws {
        let expression = try RegularExpression("(a*)*b")
        #expect(!expression.matchesWhole(String(repeating: "a", count: 100_000)))
        #expect(throws: RegularExpressionError.self) { try RegularExpression("((a{100}){100}){100}") }
    }

    @Test func takesBytesThatAreNotUTF8() throws {
        let expression = try RegularExpression("a.c")
        [0x61, 0xff, 0x63].withUnsafeBytes { (raw: UnsafeRawBufferPointer) in _ = expression.matches(raw) }
        #expect(!expression.matches(UnsafeRawBufferPointer(start: nil, count: 0)))
    }
}

@Suite struct LabelMatcherTests {
    @Test func theFourOperations() throws {
        #expect(try LabelMatcher("a", .equal, "x").matches("x"))
        #expect(try LabelMatcher("a", .notEqual, "x").matches("y"))
        #expect(try LabelMatcher("a", .matchesRegex, "x|y.*").matches("yz"))
        #expect(try !LabelMatcher("a", .matchesRegex, "x").matches("xx"))
        #expect(try LabelMatcher("a", .notMatchesRegex, "x").matches("xx"))
        #expect(try LabelMatcher("a", .matchesRegex, ".+").matches("two\nlines"), "a dot matches line ends")
    }

    @Test func anAbsentLabelIsAnEmptyOne() throws {
        let labels = Labels(["b": "1"])
        #expect(LabelMatcher.equal("a", "").matches(labels))
        #expect(try LabelMatcher("a", .notEqual, "x").matches(labels))
        #expect(try LabelMatcher("a", .matchesRegex, "x*").matchesAbsence)
        #expect(try !LabelMatcher("a", .matchesRegex, "x+").matchesAbsence)
        #expect(try LabelMatcher("a", .notMatchesRegex, ".+").matchesAbsence)
    }

    @Test func theValueMustBeAnExpressionByItself() {
        let error = #expect(throws: RegularExpressionError.self) { try LabelMatcher("a", .matchesRegex, "x)(y") }
        #expect(error?.reason == "unexpected ): `x)(y`")
        let open = #expect(throws: RegularExpressionError.self) { try LabelMatcher("a", .matchesRegex, "a(b") }
        #expect(open?.description == "error parsing regexp: missing closing ): `a(b`")
    }

    @Test func comparesByWhatIsWritten() throws {
        #expect(try LabelMatcher("a", .matchesRegex, "x") == LabelMatcher("a", .matchesRegex, "x"))
        #expect(try LabelMatcher("a", .matchesRegex, "x") != LabelMatcher("a", .equal, "x"))
        #expect(try Set([LabelMatcher("a", .equal, "x"), .equal("a", "x")]).count == 1)
        #expect(try LabelMatcher("a", .notMatchesRegex, "q\"").description == #"a!~"q\"""#)
    }
}

@Suite struct QuotedTextTests {
    /// From Go's strconv.Quote.
    @Test(arguments: [
        ("plain é 日本", #""plain é 日本""#), ("\"\\\n\t\r", #""\"\\\n\t\r""#), ("\u{7}\u{8}\u{b}\u{c}", #""\a\b\v\f""#),
        ("\u{0}\u{1b}\u{7f}", #""\x00\x1b\x7f""#), ("\u{85}\u{a0}\u{200b}\u{2028}", #""\u0085\u00a0\u200b\u2028""#),
        ("\u{10fffd}\u{e0001}😀", "\"\\U0010fffd\\U000e0001😀\""),
    ])
    func quotesAsGoDoes(text: String, quoted: String) { #expect(QuotedText.quoted(text) == quoted) }
}

@Suite struct LabelNameTests {
    @Test func knowsNames() {
        for name in ["a", "_", "a1_B", "__name__"] { #expect(LabelName.isValid(name)) }
        for name in ["", "1a", "a-b", "a:b", "é", "a b"] { #expect(!LabelName.isValid(name)) }
        #expect(LabelName.isValidMetric("job:rate5m"))
        #expect(LabelName.sanitized("1.a-é") == "_1_a___")
        #expect(LabelName.sanitized("ok") == "ok")
    }
}
