internal import TestSupport
internal import Testing

@testable import Telemetry

@Suite struct FloatTextTests {
    /// From Go: strconv.FormatFloat(v, 'f', -1, 64), FormatFloat(v, 'g', -1, 64).
    @Test(
        arguments: [
            (0.0, "0", "0"), (-0.0, "-0", "-0"), (1, "1", "1"), (-1.5, "-1.5", "-1.5"), (0.1, "0.1", "0.1"),
            (1e-5, "0.00001", "1e-05"), (0.0001, "0.0001", "0.0001"), (123_456_789, "123456789", "1.23456789e+08"),
            (1e20, "100000000000000000000", "1e+20"), (1e21, "1000000000000000000000", "1e+21"),
            (1.7976931348623157e308, nil, "1.7976931348623157e+308"), (.leastNonzeroMagnitude, nil, "5e-324"),
            (100_000, "100000", "100000"), (1_000_000, "1000000", "1e+06"), (1_234_567, "1234567", "1.234567e+06"),
            (.infinity, "+Inf", "+Inf"), (-.infinity, "-Inf", "-Inf"), (.nan, "NaN", "NaN"),
            (2.5e15, "2500000000000000", "2.5e+15"), (33.333333333333336, "33.333333333333336", "33.333333333333336"),
        ] as [(Double, String?, String)])
    func printsAsGoDoes(value: Double, plain: String?, general: String) {
        if let plain { #expect(FloatText.plain(value) == plain) }
        #expect(FloatText.general(value) == general)
    }

    @Test func everyDoubleReadsBackBitForBit() {
        var random = SeededGenerator(seed: 5)
        for _ in 0..<20_000 {
            let value =
                random.oneIn(2)
                ? Double(bitPattern: random.next()) : Double(random.int(in: -1_000_000..<1_000_000)) / 1000
            guard value.isFinite else { continue }
            #expect(FloatText.parse(FloatText.plain(value))?.bitPattern == value.bitPattern)
            #expect(FloatText.parse(FloatText.general(value))?.bitPattern == value.bitPattern)
            var answer: [UInt8] = []
            FloatText.appendAnswer(value, to: &answer)
            #expect(FloatText.parse(String(decoding: answer, as: UTF8.self))?.bitPattern == value.bitPattern)
        }
    }

    @Test(
        arguments: [
            ("1", 1), ("+1.50", 1.5), (".5", 0.5), ("5.", 5), ("1e3", 1000), ("0x1p-2", 0.25), ("Inf", .infinity),
            ("+inf", .infinity), ("-Infinity", -.infinity), ("1e-400", 0),
            ("123456789012345680", 123_456_789_012_345_680),
        ] as [(String, Double)])
    func readsWhatGoReads(text: String, value: Double) { #expect(FloatText.parse(text) == value) }

    @Test(arguments: ["", " 1", "1 ", "1e400", "abc", "1_0", "--1", "nan(1)", "-", ".", "1x", "snan", "\u{661}"])
    func refusesOtherText(text: String) { #expect(FloatText.parse(text) == nil) }

    @Test func readsNaN() { #expect(FloatText.parse("NaN")?.isNaN == true) }

    @Test func formatsWithAPrecision() {
        #expect(FloatText.formatted(1234.5678, verb: "f", precision: 2) == "1234.57")
        #expect(FloatText.formatted(1234.5678, verb: "g", precision: 4) == "1235")
        #expect(FloatText.formatted(0.000012345, verb: "g", precision: 4) == "1.234e-05")
        #expect(FloatText.formatted(12345, verb: "e", precision: 1) == "1.2e+04")
        #expect(FloatText.formatted(.infinity, verb: "g", precision: 4) == "+Inf")
        #expect(FloatText.formatted(.greatestFiniteMagnitude, verb: "f", precision: 3).utf8.count == 313)
    }
}

@Suite struct ByteSizesTests {
    @Test(
        arguments: [
            ("0", 0), ("10", 10), ("10B", 10), ("10KB", 10_000), ("10KiB", 10_240), ("1.5 MB", 1_500_000),
            ("1,000 b", 1000),
            ("2Gi", 2 << 30), ("1k", 1000), ("7EiB", 7 << 60), ("9223372036854775807", Int64.max),
        ] as [(String, Int64)])
    func reads(text: String, bytes: Int64) { #expect(ByteSizes.bytes(text) == bytes) }

    @Test(arguments: ["", "B", "10 xB", "-5", "8EiB", "1..2", "1e3", "99999999999999999999"])
    func refuses(text: String) { #expect(ByteSizes.bytes(text) == nil) }

    @Test(
        arguments: [
            (0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (10 << 20, "10 MiB"),
            (-2048, "-2 KiB"),
            ((1 << 20) - 1, "1 MiB"), (Int64.max, "8 EiB"),
        ] as [(Int64, String)])
    func writesBinary(bytes: Int64, text: String) { #expect(ByteSizes.binary(bytes) == text) }

    @Test func writesDecimal() {
        #expect(ByteSizes.decimal(999) == "999 B")
        #expect(ByteSizes.decimal(1500) == "1.5 kB")
        #expect(ByteSizes.decimal(83_000_000) == "83 MB")
    }
}
