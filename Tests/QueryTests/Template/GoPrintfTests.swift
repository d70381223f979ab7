import Testing

@testable import Query

/// `printf` writes what Go's `fmt` writes, mistakes in the format included.
@Suite struct GoPrintfTests {
    /// A format, its arguments, and what Go writes.
    struct Case: Sendable, CustomStringConvertible {
        let format: String
        let arguments: [TemplateValue]
        let expected: String

        init(_ format: String, _ arguments: [TemplateValue], _ expected: String) {
            self.format = format
            self.arguments = arguments
            self.expected = expected
        }

        var description: String { format }
    }

    static let cases: [Case] = [
        Case("%s", [.text("x")], "x"),
        Case("%5s|%-5s|%.2s", [.text("ab"), .text("ab"), .text("abcdef")], "   ab|ab   |ab"),
        Case("%q", [.text("a\"b\n\u{7}")], "\"a\\\"b\\n\\a\""),
        Case("%x %X", [.text("hi\u{ff}"), .text("hi")], "6869c3bf 6869"),
        Case(
            "%d %5d %-5d| %05d %+d", [.integer(42), .integer(42), .integer(42), .integer(-42), .integer(42)],
            "42    42 42   | -0042 +42"),
        Case(
            "%x %X %o %b %c %U %#x",
            [.integer(255), .integer(255), .integer(8), .integer(5), .integer(65), .integer(65), .integer(255)],
            "ff FF 10 101 A U+0041 0xff"),
        Case(
            "%f %.2f %8.3f %-8.1f| %08.3f", [.float(1.5), .float(2.345), .float(3.14159), .float(2), .float(-3.14159)],
            "1.500000 2.35    3.142 2.0     | -003.142"),
        Case(
            "%e %.2e %g %.3g %G", [.float(123456.789), .float(123456.789), .float(1e21), .float(123456), .float(1e-7)],
            "1.234568e+05 1.23e+05 1e+21 1.23e+05 1E-07"),
        Case("%v %v %v %v", [.float(1), .float(1e6), .text("s"), .boolean(true)], "1 1e+06 s true"),
        Case("%v %v %v", [.float(123456), .float(0.0001), .float(0.00001)], "123456 0.0001 1e-05"),
        Case("%t", [.boolean(false)], "false"),
        Case("%%", [], "%"),
        Case("%d", [.float(5)], "%!d(float64=5)"),
        Case("%d", [.text("hi")], "%!d(string=hi)"),
        Case("%s", [.integer(5)], "%!s(int=5)"),
        Case("%d", [], "%!d(MISSING)"),
        Case("%s", [.text("a"), .text("b")], "a%!(EXTRA string=b)"),
        Case("%!", [], "%!!(MISSING)"),
        Case("%", [], "%!(NOVERB)"),
        Case("%*d", [.integer(5), .integer(42)], "   42"),
        Case("%+.1f %f %f", [.float(.infinity), .float(-.infinity), .float(.nan)], "+Inf -Inf NaN"),
        Case("%T %T", [.float(1), .text("")], "float64 string"),
        Case("%6.2f%%", [.float(12.345)], " 12.35%"),
        Case("%s", [.nothing], "%!s(<nil>)"),
    ]

    @Test(arguments: cases)
    func formats(_ example: Case) {
        #expect(GoPrintf.text(example.format, example.arguments) == example.expected)
    }
}
