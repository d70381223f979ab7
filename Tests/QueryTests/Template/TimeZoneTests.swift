import Telemetry
import Testing

@testable import Query

/// Time zones of templates: the files of this machine, and the rules for times behind their last transition.
@Suite struct TimeZoneTests {
    private static let hasDatabase = SystemTimeZones.file(of: "Europe/Berlin") != nil

    /// A wall clock's time in a zone and the moment it stands for, checked with GNU date.
    struct Moment: Sendable {
        var zone: String
        var local: String
        var utc: String
        var printed: String
    }

    static let moments = [
        Moment(
            zone: "Europe/Berlin", local: "2023-01-15T12:00:00", utc: "2023-01-15T11:00:00Z",
            printed: "2023-01-15 12:00:00 +0100 CET"),
        Moment(
            zone: "Europe/Berlin", local: "2023-07-15T12:00:00", utc: "2023-07-15T10:00:00Z",
            printed: "2023-07-15 12:00:00 +0200 CEST"),
        Moment(
            zone: "Asia/Shanghai", local: "2024-02-29T00:30:00", utc: "2024-02-28T16:30:00Z",
            printed: "2024-02-29 00:30:00 +0800 CST"),
        Moment(
            zone: "America/New_York", local: "1999-12-31T23:59:59", utc: "2000-01-01T04:59:59Z",
            printed: "1999-12-31 23:59:59 -0500 EST"),
        // Behind the last transition of any file: by its rule alone.
        Moment(
            zone: "America/New_York", local: "2051-07-04T09:00:00", utc: "2051-07-04T13:00:00Z",
            printed: "2051-07-04 09:00:00 -0400 EDT"),
        Moment(
            zone: "Australia/Sydney", local: "2045-01-10T08:00:00", utc: "2045-01-09T21:00:00Z",
            printed: "2045-01-10 08:00:00 +1100 AEDT"),
        Moment(
            zone: "Asia/Kolkata", local: "2023-01-01T00:00:00", utc: "2022-12-31T18:30:00Z",
            printed: "2023-01-01 00:00:00 +0530 IST"),
        Moment(
            zone: "UTC", local: "2023-01-01T00:00:00", utc: "2023-01-01T00:00:00Z",
            printed: "2023-01-01 00:00:00 +0000 UTC"),
    ]

    @Test(.enabled(if: hasDatabase, "this machine has no time zone database"), arguments: moments)
    func clocksOfAZoneAreRead(moment: Moment) throws {
        let zone = try #require(TimeZoneRules.named(moment.zone))
        let nanoseconds = try #require(GoTimeLayout("2006-01-02T15:04:05").nanoseconds(moment.local, in: zone))
        #expect(Timestamps.rfc3339(nanoseconds: nanoseconds) == moment.utc)
        let offset = zone.span(at: nanoseconds / 1_000_000_000).offset
        #expect(GoTimeLayout.printed.text(nanoseconds, offset) == moment.printed)
    }

    @Test(.enabled(if: hasDatabase, "this machine has no time zone database"))
    func hoursThatAreTwiceOrNeverAreThoseOfGo() throws {
        let zone = try #require(TimeZoneRules.named("Europe/Berlin"))
        let layout = GoTimeLayout("2006-01-02 15:04:05")
        // Clocks went from 2 to 3 on the 26th of March, and from 3 to 2 on the 29th of October: `time.Date` takes the
        // later of the two moments each time.
        for (local, utc) in [
            ("2023-03-26 02:30:00", "2023-03-26T01:30:00Z"), ("2023-10-29 02:30:00", "2023-10-29T01:30:00Z"),
            ("2023-03-26 01:59:59", "2023-03-26T00:59:59Z"), ("2023-03-26 03:00:00", "2023-03-26T01:00:00Z"),
        ] {
            let nanoseconds = try #require(layout.nanoseconds(local, in: zone))
            #expect(Timestamps.rfc3339(nanoseconds: nanoseconds) == utc, "\(local)")
        }
        // A text that names its offset, or a name of one, needs no zone.
        let zoned = GoTimeLayout("2006-01-02 15:04:05 -0700").nanoseconds("2023-01-15 12:00:00 +0300", in: zone)
        #expect(zoned.map { Timestamps.rfc3339(nanoseconds: $0) } == "2023-01-15T09:00:00Z")
        let named = GoTimeLayout("2006-01-02 15:04 MST").nanoseconds("2023-01-15 12:00 CEST", in: zone)
        #expect(named.map { Timestamps.rfc3339(nanoseconds: $0) } == "2023-01-15T10:00:00Z")
    }

    @Test(arguments: ["CET-1CEST,M3.5.0,M10.5.0/3", "<+03>-3", "EST5EDT,M3.2.0,M11.1.0", "IST-1GMT0,M10.5.0,M3.5.0/1"])
    func rulesOfPOSIXAreRead(text: String) {
        #expect(TimeZoneFooter(text) != nil)
    }

    @Test(arguments: ["", "C-1", "CET", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.5.0,M10.5.0x"])
    func brokenRulesAreNone(text: String) {
        #expect(TimeZoneFooter(text) == nil)
    }

    @Test(arguments: ["Nowhere/Land", "../../../etc/passwd", "/etc/passwd", "..", ".", "posixrules/../UTC", "a\0b"])
    func namesThatAreNoZonesLeadNowhere(name: String) {
        #expect(TimeZoneRules.named(name) == nil)
    }

    @Test func filesThatAreCutShortAreNone() throws {
        guard let file = SystemTimeZones.file(of: "Europe/Berlin") else { return }
        #expect(TimeZoneRules(file) != nil)
        for count in stride(from: 0, to: file.count - 40, by: 7) { _ = TimeZoneRules(Array(file.prefix(count))) }
        #expect(TimeZoneRules(Array(file.prefix(60))) == nil)
        #expect(TimeZoneRules([]) == nil)
    }
}
