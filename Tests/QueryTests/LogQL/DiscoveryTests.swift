internal import Query
internal import Telemetry
internal import Testing

/// What is found out from lines themselves: shapes, fields, changes.
@Suite struct DiscoveryTests {
    private func line(_ text: String, at nanoseconds: Int64 = 0, metadata: Labels = .empty) -> LogLine {
        let stream = Labels(["app": "a"])
        return LogLine(
            nanoseconds: nanoseconds, text: Array(text.utf8), labels: stream, stream: stream, metadata: metadata)
    }

    @Test(arguments: [
        ("GET /cart/41 200 in 12ms", "GET /cart/<_> <_> in <_>"),
        ("user bob logged in from 10.0.0.7:5121", "user bob logged in from <_>"),
        (#"{"level":"info","took":12}"#, #"{"level":"info","took":<_>}"#),
        ("pod api-7f9c-x2 on node-3 at #41", "pod api-<_> on node-<_> at #<_>"),
        ("level=info id=a1b2 took=3s", "level=info id=<_> took=<_>"),
        ("nothing changes here", "nothing changes here"), ("", ""),
        ("2026-11-23T10:00:00.123Z [main] ok", "<_> [main] ok"),
    ])
    func shapes(text: String, shape: String) {
        let found = String(decoding: LineShape.pattern(of: Array(text.utf8)), as: UTF8.self)
        #expect(found == shape)
    }

    @Test func countsAreExact() {
        let range = LogTimeRange(startNanoseconds: 0, endNanoseconds: 100)
        var counter = PatternCounter(range: range, bucketNanoseconds: 10)
        for number in 0..<100 { counter.add(line("request \(number) done", at: Int64(number))) }
        for number in 0..<7 { counter.add(line("ERROR no connection to db\(number)", at: 95)) }
        #expect(counter.lines == 107 && counter.otherLines == 0)
        #expect(counter.patterns.map(\.text) == ["request <_> done", "ERROR no connection to <_>"])
        #expect(counter.patterns[0].counts == [Int](repeating: 10, count: 10))
        #expect(counter.patterns[1].counts == [0, 0, 0, 0, 0, 0, 0, 0, 0, 7])
        #expect(counter.patterns[1].severity == .error)
    }

    @Test func shapesWithoutEndCostNoMemory() {
        let range = LogTimeRange(startNanoseconds: 0, endNanoseconds: 1)
        var counter = PatternCounter(range: range, bucketNanoseconds: 1)
        for number in 0..<(PatternCounter.patternsMaximum + 50) {
            let letters = String(number).map { String(UnicodeScalar(UInt8(0x61 + ($0.wholeNumberValue ?? 0)))) }
            counter.add(line(letters.joined()))
        }
        #expect(counter.patterns.count == PatternCounter.patternsMaximum && counter.otherLines == 50)
    }

    @Test func fieldsOfJSONAndLogfmt() {
        var detector = FieldDetector(fieldsMaximum: 10)
        detector.add(line(#"{"status":200,"took":"1.5s","user":{"name":"bob"}}"#))
        detector.add(line(#"{"status":500,"took":"20ms"}"#))
        detector.add(line("size=10KB ok=true rate=1.5", metadata: Labels(["trace": "t1"])))
        detector.add(line("prose with a = sign is no field"))
        let fields = Dictionary(uniqueKeysWithValues: detector.fields.map { ($0.name, $0) })
        #expect(Set(fields.keys) == ["status", "took", "user_name", "size", "ok", "rate", "trace"])
        #expect(fields["status"]?.kind == .int && fields["status"]?.values == ["200", "500"])
        #expect(fields["took"]?.kind == .duration && fields["took"]?.parsers == ["json"])
        #expect(fields["size"]?.kind == .bytes && fields["size"]?.parsers == ["logfmt"])
        #expect(fields["ok"]?.kind == .boolean && fields["rate"]?.kind == .float)
        #expect(fields["trace"]?.parsers == [])
    }

    private func count(_ pattern: String, _ lines: Int, _ severity: Severity = .info) -> PatternDifference.Count {
        PatternDifference.Count(pattern: pattern, severity: severity, lines: lines, example: pattern)
    }

    @Test func aFaultComesFirst() {
        // An hour before, ten minutes now.
        let before = [
            count("request <_> done", 36_000), count("slow request <_>", 60), count("heartbeat", 360),
            count("cache miss <_>", 600),
        ]
        let now = [
            count("request <_> done", 5_950), count("slow request <_>", 400, .warn),
            count("connection refused to <_>", 35, .error), count("cache miss <_>", 104),
        ]
        let difference = PatternDifference(before: before, secondsBefore: 3_600, now: now, secondsNow: 600)
        #expect(
            difference.changes.map { "\($0.kind.rawValue) \($0.pattern)" }
                == ["new connection refused to <_>", "more slow request <_>", "vanished heartbeat"])
    }

    @Test func nothingChangedIsNoChange() {
        let counts = [count("a", 600), count("b", 12), count("c", 1)]
        let tenth = [count("a", 97), count("b", 3)]
        #expect(
            PatternDifference(before: counts, secondsBefore: 3_600, now: tenth, secondsNow: 600).changes.isEmpty)
    }

    @Test func theLevelALineTells() {
        func level(_ text: String, _ labels: Labels = .empty) -> String {
            LineLevel.name(of: Array(text.utf8)[...], stream: labels, metadata: .empty)
        }
        #expect(level("level=warn msg=x") == "warn")
        #expect(level("level=warn msg=x", Labels(["level": "error"])) == "error")
        #expect(level("words") == "unknown")
    }
}
