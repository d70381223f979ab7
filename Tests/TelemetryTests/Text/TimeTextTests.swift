internal import TestSupport
internal import Testing

@testable import Telemetry

@Suite struct DurationsTests {
    @Test(
        arguments: [
            ("0", 0), ("5ms", 5), ("1s", 1000), ("1h30m", 5_400_000), ("90d", 7_776_000_000),
            ("1y2w3d4h5m6s7ms", 33_019_506_007),
            ("0s", 0), ("1m0s", 60_000),
        ] as [(String, Int64)])
    func readsPrometheus(text: String, milliseconds: Int64) throws {
        #expect(try Durations.milliseconds(prometheus: text) == milliseconds)
    }

    @Test(arguments: [
        ("", "empty duration string"), ("5", "not a valid duration string: \"5\""),
        ("1.5h", "unknown unit \".\" in duration \"1.5h\""), ("-1s", "not a valid duration string: \"-1s\""),
        ("1m1h", "not a valid duration string: \"1m1h\""), ("1s1s", "not a valid duration string: \"1s1s\""),
        ("1S", "unknown unit \"S\" in duration \"1S\""), ("300y", "duration out of range"),
        ("99999999999999999999s", "duration out of range"),
    ])
    func refusesInPrometheusWords(text: String, words: String) {
        #expect(throws: DurationError(description: words)) { try Durations.milliseconds(prometheus: text) }
    }

    @Test(
        arguments: [
            (0, "0s"), (5, "5ms"), (1000, "1s"), (5_400_000, "1h30m"), (604_800_000, "1w"), (694_800_000, "8d1h"),
            (31_536_000_000, "1y"), (90 * 86_400_000, "90d"), (-1500, "-1s500ms"),
        ] as [(Int64, String)])
    func writesPrometheus(milliseconds: Int64, text: String) {
        #expect(Durations.prometheus(milliseconds: milliseconds) == text)
    }

    @Test func whatIsWrittenReadsBack() throws {
        var random = SeededGenerator(seed: 3)
        for _ in 0..<5000 {
            let milliseconds = Int64(random.int(in: 0..<9_000_000_000)) >> Int64(random.int(in: 0..<34))
            let text = Durations.prometheus(milliseconds: milliseconds)
            #expect(try Durations.milliseconds(prometheus: text) == milliseconds, "\(text)")
            let nanoseconds = Int64(bitPattern: random.next()) >> Int64(random.int(in: 1..<64))
            #expect(try Durations.nanoseconds(go: Durations.go(nanoseconds: nanoseconds)) == nanoseconds)
        }
    }

    @Test(
        arguments: [
            ("1.5s", 1_500_000_000), ("-1.5h", -5_400_000_000_000), ("2h45m", 9_900_000_000_000), ("1µs", 1000),
            ("1us", 1000),
            (".5s", 500_000_000), ("1.s", 1_000_000_000), ("+5ns", 5), ("0", 0), ("0.1ms", 100_000),
        ] as [(String, Int64)])
    func readsGo(text: String, nanoseconds: Int64) throws {
        #expect(try Durations.nanoseconds(go: text) == nanoseconds)
    }

    @Test(arguments: [
        ("", "time: invalid duration \"\""), ("5", "time: missing unit in duration \"5\""),
        ("5d", "time: unknown unit \"d\" in duration \"5d\""), ("s", "time: invalid duration \"s\""),
        ("9999999h", "time: invalid duration \"9999999h\""),
    ])
    func refusesInGoWords(text: String, words: String) {
        #expect(throws: DurationError(description: words)) { try Durations.nanoseconds(go: text) }
    }

    @Test(
        arguments: [
            (0, "0s"), (1, "1ns"), (1100, "1.1µs"), (2_200_000, "2.2ms"), (3_300_000_000, "3.3s"),
            (245_000_000_000, "4m5s"),
            (18_367_001_000_000, "5h6m7.001s"), (-1_500_000_000, "-1.5s"), (3_600_000_000_000, "1h0m0s"),
        ] as [(Int64, String)])
    func writesGo(nanoseconds: Int64, text: String) { #expect(Durations.go(nanoseconds: nanoseconds) == text) }
}

@Suite struct TimestampsTests {
    @Test(
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2023-11-14T22:13:20Z", 1_700_000_000_000_000_000),
            ("2023-11-14T22:13:20.123456789Z", 1_700_000_000_123_456_789),
            ("2023-11-15T00:13:20.5+02:00", 1_700_000_000_500_000_000), ("1969-12-31T23:59:59.999999999Z", -1),
            ("2024-02-29T12:00:00-01:30", 1_709_213_400_000_000_000),
            ("2023-11-14t22:13:20.1234567891z", 1_700_000_000_123_456_789),
        ] as [(String, Int64)])
    func reads(text: String, nanoseconds: Int64) { #expect(Timestamps.nanoseconds(rfc3339: text) == nanoseconds) }

    @Test(arguments: [
        "", "2023-11-14", "2023-11-14T22:13:20", "2023-02-29T00:00:00Z", "2023-13-01T00:00:00Z", "2023-11-14T24:00:00Z",
        "2023-11-14T22:13:20.Z", "2023-11-14T22:13:20Zx", "2023-11-14T22:13:20+0200", "0001-01-01T00:00:00Z",
        "9999-12-31T00:00:00Z", "2023-11-14T22:13:20+99:00", "2o23-11-14T22:13:20Z",
    ])
    func refuses(text: String) { #expect(Timestamps.nanoseconds(rfc3339: text) == nil) }

    @Test func everyTimeReadsBack() {
        var random = SeededGenerator(seed: 9)
        for _ in 0..<20_000 {
            let nanoseconds = Int64(bitPattern: random.next()) >> Int64(random.int(in: 0..<60))
            let text = Timestamps.rfc3339(nanoseconds: nanoseconds)
            #expect(Timestamps.nanoseconds(rfc3339: text) == nanoseconds, "\(text)")
        }
    }

    @Test func trimsItsDecimals() {
        #expect(Timestamps.rfc3339(nanoseconds: 1_700_000_000_000_000_000) == "2023-11-14T22:13:20Z")
        #expect(Timestamps.rfc3339(nanoseconds: 1_700_000_000_120_000_000) == "2023-11-14T22:13:20.12Z")
        #expect(Timestamps.rfc3339(milliseconds: -1) == "1969-12-31T23:59:59.999Z")
        #expect(Timestamps.column(milliseconds: 1_700_000_000_120) == "2023-11-14T22:13:20.120Z")
        #expect(Timestamps.column(milliseconds: -1000) == "1969-12-31T23:59:59.000Z")
    }

    @Test func readsTheParametersOfBothAPIs() {
        #expect(Timestamps.milliseconds(prometheus: "1435781430.781") == 1_435_781_430_781)
        #expect(Timestamps.milliseconds(prometheus: "2015-07-01T20:10:30.781Z") == 1_435_781_430_781)
        #expect(Timestamps.milliseconds(prometheus: "NaN") == nil)
        #expect(Timestamps.milliseconds(prometheus: "1e30") == nil)
        #expect(Timestamps.nanoseconds(loki: "1700000000") == 1_700_000_000_000_000_000)
        #expect(Timestamps.nanoseconds(loki: "1700000000000000001") == 1_700_000_000_000_000_001)
        #expect(Timestamps.nanoseconds(loki: "1700000000.25") == 1_700_000_000_250_000_000)
        #expect(Timestamps.nanoseconds(loki: "2023-11-14T22:13:20Z") == 1_700_000_000_000_000_000)
        #expect(Timestamps.nanoseconds(loki: "soon") == nil)
        #expect(Timestamps.nanoseconds(loki: "99999999999.5") == nil)
    }

    @Test func knowsItsCalendar() {
        #expect(CivilDate(daysSinceEpoch: 0).weekday == 4)
        for days in stride(from: -800_000, through: 800_000, by: 37) {
            let date = CivilDate(daysSinceEpoch: days)
            #expect(date.daysSinceEpoch == days)
            #expect(CivilDate(year: date.year, month: date.month, day: date.day) == date)
        }
    }
}
