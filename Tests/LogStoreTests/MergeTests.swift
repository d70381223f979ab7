internal import Disk
internal import Synchronization
internal import Telemetry
internal import TestSupport
internal import Testing

@testable internal import LogStore

/// Merging changes how lines lie on disk and nothing that is answered; what was deleted is gone from the disk.
struct MergeTests {
    let app = Labels(["app": "api"])
    let other = Labels(["app": "db"])
    let all = LogRequest(matchers: [], range: .all)

    private func fill(_ database: LogDatabase, _ fixture: LogFixture, parts: Int) async throws {
        for part in 0..<parts {
            for (stream, labels) in [app, other].enumerated() {
                let origin = LogOrigin(source: "f\(labels["app"] ?? "")", generation: 1)
                var lines = LogLines(labels: labels, origin: origin)
                for number in 0..<50 {
                    let text = Array(
                        "part \(part) line \(number) secret-\(part)-\(number) of \(labels["app"] ?? "")".utf8)
                    let start = UInt64(part * 100_000 + number * 1000)
                    lines.append(
                        nanoseconds: fixture.time(Int64(part * 1000 + number)), line: text,
                        offsets: start..<start + UInt64(text.count) + 1,
                        metadata: number % 7 == 0 ? Labels(["trace": "\(part)"]) : .empty)
                }
                _ = try await database.append(
                    LogBatch(streams: [lines], delivery: DeliveryIdentity("a", UInt64(part * 2 + stream + 1))))
            }
            try database.seal()
        }
    }

    private func bytesOnDisk(_ fixture: LogFixture) throws -> [UInt8] {
        let storage = SystemStorage()
        let folder = fixture.folder.path + "/logs/parts"
        return try storage.list(folder).flatMap { entry in
            let file = try storage.open(folder + "/" + entry.name, .read)
            return try PartReader.read(file, at: 0, bytes: Int(try file.size()))
        }
    }

    @Test func smallPartsBecomeOneThatAnswersTheSame() async throws {
        var fixture = try LogFixture()
        fixture.options.mergePartsMinimum = 4
        let database = try fixture.open()
        try await fill(database, fixture, parts: 6)
        let before = try database.lines(all, fixture.context())
        #expect(before.count == 600)
        database.maintain()
        #expect(database.state.withLock { $0.parts.count } == 1)
        #expect(try database.lines(all, fixture.context()) == before)
        try database.close()
        let again = try fixture.open()
        #expect(try again.lines(all, fixture.context()) == before)
        // What was delivered stays known.
        var lines = LogLines(labels: app, origin: LogOrigin(source: "fapi", generation: 1))
        lines.append(nanoseconds: fixture.time(0), line: Array("again".utf8), offsets: 0..<5)
        #expect(try await again.append(LogBatch(streams: [lines])).duplicates == 1)
        try again.close()
    }

    @Test func deletedLinesLeaveTheDisk() async throws {
        let fixture = try LogFixture()
        let database = try fixture.open()
        try await fill(database, fixture, parts: 3)
        let start = fixture.time(0) / 1_000_000
        let range = TimeRange(startMilliseconds: start + 1010, endMilliseconds: start + 1020)
        #expect(try database.delete(matching: [.equal("app", "api")], range: range) == 1)
        let before = try database.lines(all, fixture.context())
        #expect(before.count == 289)
        database.maintain()
        #expect(try database.lines(all, fixture.context()) == before)
        #expect(database.state.withLock { $0.deletions.isEmpty })
        let rows = database.state.withLock { state in
            state.parts.reduce(0) { $0 + $1.reader.footer.blocks.reduce(0) { $0 + $1.lines } }
        }
        #expect(rows == 289)
        try database.close()
        let again = try fixture.open()
        #expect(try again.lines(all, fixture.context()) == before)
        try again.close()
    }

    @Test func aDamagedBlockIsNotMergedAway() async throws {
        var fixture = try LogFixture()
        fixture.options.mergePartsMinimum = 2
        var database = try fixture.open()
        try await fill(database, fixture, parts: 3)
        let part = try #require(database.state.withLock { $0.parts.first })
        let block = try #require(part.reader.footer.blocks.first)
        try database.close()
        let file = try SystemStorage().open(part.reader.path, .createOrOpen)
        let place = block.offset + UInt64(block.start(of: .descriptions) + 20)
        try [UInt8](repeating: 0x55, count: 4).withUnsafeBytes { try file.write($0, at: place) }
        database = try fixture.open()
        for _ in 0..<3 { database.maintain() }
        let context = fixture.context()
        #expect(try database.lines(all, context).count == 250)
        #expect(context.gaps.count == 1 && !database.quarantine.isEmpty)
        #expect(database.state.withLock { $0.parts.contains { $0.name == part.name } })
        try database.close()
    }

    @Test func theOldestPartsGoWhenThereAreTooManyBytes() async throws {
        var fixture = try LogFixture()
        fixture.options.mergePartsMinimum = 100
        fixture.options.retentionBytes = 1
        let database = try fixture.open()
        try await fill(database, fixture, parts: 3)
        database.maintain()
        #expect(try Set(database.lines(all, fixture.context()).map { $0.text.prefix(6) }) == ["part 2"])
        try database.close()
    }

    @Test func tenThousandTinyStreamsAndAnExplosionOfTemplates() async throws {
        let fixture = try LogFixture()
        let database = try fixture.open()
        var random = SeededGenerator(seed: 1)
        for round in 0..<10 {
            let streams = (0..<1000).map { number in
                var lines = LogLines(labels: Labels(["stream": "\(round)-\(number)"]))
                lines.append(nanoseconds: fixture.time(Int64(number)), line: Array("hello \(number)".utf8))
                return lines
            }
            _ = try await database.append(LogBatch(streams: streams))
        }
        var wild = LogLines(labels: app)
        let words = (0..<300).map { _ in String((0..<6).map { _ in random.pick(Array("abcdefghijklmnop")) }) }
        var expected: [String] = []
        for number in 0..<6000 {
            let text = (0..<random.int(in: 1..<9)).map { _ in random.pick(words) + random.pick(["", "", "7", "="]) }
                .joined(separator: random.pick([" ", ", ", "(", "\""]))
            expected.append(text)
            wild.append(nanoseconds: fixture.time(Int64(number)), line: Array(text.utf8))
        }
        _ = try await database.append(LogBatch(streams: [wild]))
        try database.seal()
        #expect(try database.streams(all, in: fixture.context()).count == 10_001)
        let request = LogRequest(matchers: [.equal("app", "api")], range: .all)
        #expect(try database.lines(request, fixture.context()).map(\.text) == expected)
        let templates = try #require(database.state.withLock { $0.parts.last?.reader.footer.templates.count })
        #expect(templates < TemplateBuilder.nodesMaximum + 100)
        try database.close()
    }
}

/// Card and identity numbers are hidden; what only looks a bit like one stays.
struct RedactingTransformTests {
    private func redacted(_ text: String) -> String {
        let line = Array(text.utf8)
        return String(decoding: RedactingTransform().transform(line[...], of: .empty) ?? line, as: UTF8.self)
    }

    @Test func secretsAreHiddenButForTheirLastDigits() {
        let cases = [
            ("card 4111111111111111 paid", "card ************1111 paid"),
            ("4111 1111 1111 1111", "**** **** **** 1111"),
            ("pan=5500-0000-0000-0004;", "pan=****-****-****-0004;"),
            ("{\"id\":\"11010519491231002X\"}", "{\"id\":\"*************1002X\"}"),
            ("id 440524188001010014.", "id **************0014."),
            ("two 4111111111111111 and 5500000000000004", "two ************1111 and ************0004"),
        ]
        for (text, expected) in cases {
            #expect(redacted(text).count == text.count)
            #expect(redacted(text).hasSuffix(String(expected.suffix(4))) && redacted(text).contains("*"), "\(text)")
        }
        #expect(redacted(cases[0].0) == cases[0].1 && redacted(cases[1].0) == cases[1].1)
    }

    @Test func otherNumbersStay() {
        let kept = [
            "order 4111111111111112", "1700000000000000000", "a4111111111111111", "4111111111111111b",
            "1.4111111111111111",
            "82ba9c3ad63a0761b9c69c396f5939bc", "440524188001010015", "12345", "", "2023-11-14 22:13:20.123456",
        ]
        for text in kept { #expect(redacted(text) == text) }
    }
}
