internal import Telemetry
internal import TestSupport
internal import Testing

@testable internal import LogStore

/// Filters over whole blocks select what looking at each line alone selects.
struct LineFilterTests {
    @Test(arguments: 0..<80) func blocksEqualPlainSearch(seed: Int) throws {
        var generator = LogGenerator(seed: UInt64(seed))
        var lines: [[UInt8]] = []
        for _ in 0..<200 { lines.append(generator.line()) }
        var ends: [Int] = []
        for line in lines { ends.append((ends.last ?? 0) + line.count) }
        let bytes = lines.flatMap { $0 }
        for _ in 0..<20 {
            let predicates = LineFilterTests.predicates(&generator)
            let filter = try LineFilter(predicates)
            let from = generator.random.int(in: 0..<200)
            let range = from..<generator.random.int(in: from..<201)
            let expected = range.filter { LineOracle.passes(lines[$0], predicates) }
            let selected = bytes.withUnsafeBytes { filter.select($0, ends: ends, range: range) }
            #expect(selected.map { Int($0) } == expected, "\(predicates)")
            #expect(range.filter { filter.matches(lines[$0][...]) } == expected)
            if !expected.isEmpty { #expect(bytes.withUnsafeBytes { filter.mayMatch($0) }) }
        }
    }

    static func predicates(_ generator: inout LogGenerator) -> [LinePredicate] {
        (0..<generator.random.int(in: 1..<3)).map { _ in
            let isRegex = generator.random.oneIn(3)
            let texts =
                isRegex
                ? ["err.*", "id=[0-9]+", "(GET|timeout) ", "a?bc", "x{0}done", "^GET", "api$", "\\.0\\.", "er+or", ""]
                : ["error", "GET", "e", "", "abcabc", "/api error", "ü", "nothing", "42 "]
            let count = generator.random.int(in: 1..<3)
            return LinePredicate(
                isRegex ? .matchesRegex : .contains, (0..<count).map { _ in generator.random.pick(texts) },
                isNegated: generator.random.oneIn(4), foldsCase: generator.random.oneIn(4))
        }
    }

    @Test func hitsAcrossTwoLinesAreNone() throws {
        let filter = try LineFilter([LinePredicate(.contains, ["ab"])])
        let bytes = Array("xaabbab".utf8)
        let selected = bytes.withUnsafeBytes { filter.select($0, ends: [2, 2, 4, 5, 7], range: 0..<5) }
        #expect(selected == [2, 4])
    }

    @Test func requiredTextIsInEveryMatch() {
        let expected: [(String, String?)] = [
            ("error", "error"), ("a.*bcd", "bcd"), ("(x|y)zz", "zz"), ("a|b", nil), ("abc?", "ab"), ("abc*d", "ab"),
            ("(?i)abc", nil), ("[abc]de", "de"), ("a\\.b", "a.b"), ("\\d+ms", "ms"), ("ab{2}c", "a"), ("a+b", "a"),
            ("\\x41bc", nil), ("(?:abc)", nil), ("[[:alpha:]]x", nil), ("", nil), ("ü+x", "ü"), ("(a", nil),
        ]
        for (pattern, text) in expected { #expect(RequiredLiteral.find(in: pattern) == text, "\(pattern)") }
    }

    /// As Loki 3 decides them, one by one.
    @Test func patternsMatchAsInLoki() {
        let cases: [(String, String, Bool)] = [
            ("<_> error <_>", "an error here", true), ("error <_>", "an error here", true),
            ("error<_>", "an error", false), ("<_>error<_>", "error here", false), ("<_>error<_>", "an error", false),
            ("<_>here", "an error here", true), ("<_>her", "an error here", false), ("a<_>b<_>c", "axbyc", true),
            ("a<_>b<_>c", "acb", false), ("a<_>b<_>c", "abyc", false), ("abc", "abc", true), ("abc", "abcd", false),
            ("abc", "xabc", true), ("<_>", "", false), ("<_>", "x", true), ("", "", true), ("", "x", false),
            ("a<_>a", "a", false), ("a<_>a", "aa", false), ("a<_>a", "aba", true), ("<_>X", "aXbX", false),
        ]
        for (pattern, line, matches) in cases {
            let result = Array(line.utf8).withUnsafeBytes { LinePattern(pattern).matches($0) }
            #expect(result == matches, "\(pattern) on \(line)")
        }
    }

    @Test func addressesAreFoundByValue() {
        let cases: [(String, String, Bool)] = [
            ("10.0.0.1", "from 10.0.0.1.", true), ("10.0.0.1", "from 10.0.0.12", false),
            ("10.0.0.0/8", "10.200.3.4:8080 GET", true), ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.1-10.0.0.9", "x 10.0.0.5 y", true), ("10.0.0.1-10.0.0.9", "x 10.0.0.10 y", false),
            ("::1", "[::1]:80", true), ("2001:db8::/32", "peer 2001:db8:1::7 closed", true),
            ("2001:db8::/32", "12:30:45 10.0.0.1", false), ("0.0.0.0/0", "version 1.2.3", false),
            ("10.0.0.1", "client:10.0.0.1:443", true), ("::ffff:1.2.3.4", "::ffff:1.2.3.4", true),
        ]
        for (text, line, isFound) in cases {
            let result = Array(line.utf8).withUnsafeBytes { AddressMatcher(text)?.matches($0) }
            #expect(result == isFound, "\(text) in \(line)")
        }
        for bad in ["", "10.0.0", "10.0.0.256", "10.0.0.1/33", "10.0.0.9-10.0.0.1", "host", "1:2:3", "::1-10.0.0.1"] {
            #expect(AddressMatcher(bad) == nil, "\(bad)")
        }
    }
}

/// What `grep` would say: looks at each line alone, with the simplest code there is.
enum LineOracle {
    static func passes(_ line: [UInt8], _ predicates: [LinePredicate]) -> Bool {
        predicates.allSatisfy { predicate in
            predicate.alternatives.contains { contains(line, $0, predicate) } != predicate.isNegated
        }
    }

    private static func contains(_ line: [UInt8], _ text: String, _ predicate: LinePredicate) -> Bool {
        if predicate.kind == .matchesRegex {
            let expression = try? RegularExpression(text, foldCase: predicate.foldsCase)
            return line.withUnsafeBytes { expression?.matches($0) ?? false }
        }
        let fold: (UInt8) -> UInt8 = { predicate.foldsCase && (65...90).contains($0) ? $0 + 32 : $0 }
        let (haystack, needle) = (line.map(fold), Array(text.utf8).map(fold))
        if needle.isEmpty { return true }
        guard haystack.count >= needle.count else { return false }
        return (0...haystack.count - needle.count).contains { haystack[$0...].starts(with: needle) }
    }
}
