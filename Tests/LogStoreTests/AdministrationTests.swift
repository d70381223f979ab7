internal import Disk
internal import Synchronization
internal import Telemetry
internal import TestSupport
internal import Testing

@testable internal import LogStore

/// Retention, deletion, snapshots, losses, damage: what an operator does and meets.
struct AdministrationTests {
    let app = Labels(["app": "api"])
    let other = Labels(["app": "db"])
    let all = LogRequest(matchers: [], range: .all)

    @Test func retentionDropsPartsAndHidesWhatIsTooOld() async throws {
        let fixture = try LogFixture()
        let database = try fixture.open()
        let day: Int64 = 86_400_000
        for age in [40, 20, 5] as [Int64] {
            _ = try await database.append(LogBatch(app, [(fixture.time(-age * day), "\(age) days")]))
            try database.seal()
        }
        _ = try await database.append(
            LogBatch(other, [(fixture.time(-31 * day), "31 days"), (fixture.time(-1 * day), "1 day")]))
        try database.seal()
        let now = fixture.clock.nowMilliseconds
        #expect(try database.enforceRetention(retentionMilliseconds: 0, nowMilliseconds: now) == 0)
        #expect(try database.lines(all, fixture.context()).count == 5)
        #expect(try database.enforceRetention(retentionMilliseconds: 30 * day, nowMilliseconds: now) > 0)
        #expect(try database.lines(all, fixture.context()).map(\.text) == ["20 days", "5 days", "1 day"])
        let receipt = try await database.append(LogBatch(app, [(fixture.time(-30 * day - 1), "late")]))
        #expect(receipt.rejections.map(\.reason) == ["older than the retention"])
        // Nothing is left of a stream without lines.
        _ = try database.enforceRetention(retentionMilliseconds: 2 * day, nowMilliseconds: now)
        #expect(database.cardinality(limit: 10).total == 1)
        #expect(try database.streams(all, in: fixture.context()) == [other])
        try database.close()
    }

    @Test func deletedLinesAreGoneAlsoAfterARestart() async throws {
        let fixture = try LogFixture()
        var database = try fixture.open()
        let lines = (0..<10).map { (fixture.time(Int64($0)), "line \($0)") }
        _ = try await database.append(LogBatch(app, lines))
        _ = try await database.append(LogBatch(other, lines))
        let start = fixture.time(0) / 1_000_000
        let range = TimeRange(startMilliseconds: start + 3, endMilliseconds: start + 6)
        #expect(try database.delete(matching: [.equal("app", "api")], range: range) == 1)
        _ = try await database.append(LogBatch(app, [(fixture.time(4), "later")]))
        let expected = ["line 0", "line 1", "line 2", "later", "line 7", "line 8", "line 9"]
        for _ in 0..<2 {
            let request = LogRequest(matchers: [.equal("app", "api")], range: .all)
            #expect(try database.lines(request, fixture.context()).map(\.text) == expected)
            let counts = try database.counts(
                LogRequest(
                    matchers: [],
                    range: LogTimeRange(startNanoseconds: fixture.time(0), endNanoseconds: fixture.time(10))),
                bucketNanoseconds: 10_000_000, in: fixture.context())
            #expect(counts?.map(\.lines) == [[7], [10]])
            try database.close()
            database = try fixture.open()
        }
        try database.close()
    }

    @Test func aSnapshotOpensAsAStore() async throws {
        let fixture = try LogFixture()
        let database = try fixture.open()
        _ = try await database.append(LogBatch(app, [(fixture.time(0), "one")]))
        try database.snapshot(to: fixture.folder.path + "/copy")
        _ = try await database.append(LogBatch(app, [(fixture.time(1), "two")]))
        let copy = try LogDatabase.open(
            storage: SystemStorage(), folder: fixture.folder.path + "/copy", options: fixture.options,
            wallClock: fixture.clock)
        #expect(try copy.lines(all, fixture.context()).map(\.text) == ["one"])
        _ = try await copy.append(LogBatch(app, [(fixture.time(2), "three")]))
        try copy.close()
        let again = try LogDatabase.open(
            storage: SystemStorage(), folder: fixture.folder.path + "/copy", options: fixture.options,
            wallClock: fixture.clock)
        #expect(try again.lines(all, fixture.context()).map(\.text) == ["one", "three"])
        #expect(throws: StorageError.self) { try again.snapshot(to: fixture.folder.path + "/copy") }
        try again.close()
        try database.close()
    }

    @Test func lossesComeBackAsGaps() async throws {
        let fixture = try LogFixture()
        var database = try fixture.open()
        let range = LogTimeRange(startNanoseconds: fixture.time(0), endNanoseconds: fixture.time(100))
        let loss = LogLoss(labels: app, origin: nil, range: range, lines: 12, bytes: 0, reason: "spool full")
        _ = try await database.append(LogBatch(streams: [], losses: [loss]))
        for _ in 0..<3 {
            let context = fixture.context()
            _ = try database.lines(LogRequest(matchers: [.equal("app", "api")], range: .all), context)
            #expect(context.gaps == [AnswerGap(range: range, labels: app, reason: "12 lines lost: spool full")])
            let elsewhere = fixture.context()
            _ = try database.lines(LogRequest(matchers: [.equal("app", "db")], range: .all), elsewhere)
            #expect(elsewhere.gaps.isEmpty)
            try database.seal()
            try database.close()
            database = try fixture.open()
        }
        try database.close()
    }

    @Test func streamsAndLabelsAreThoseWithALineInRange() async throws {
        let fixture = try LogFixture()
        let database = try fixture.open()
        _ = try await database.append(LogBatch(app, [(fixture.time(0), "a"), (fixture.time(100), "b")]))
        _ = try await database.append(LogBatch(other, [(fixture.time(50), "c")]))
        for _ in 0..<2 {
            let request = LogRequest(
                matchers: [], range: LogTimeRange(startNanoseconds: fixture.time(1), endNanoseconds: fixture.time(99)))
            #expect(try database.streams(request, in: fixture.context()) == [other])
            #expect(try database.labelValues("app", request, in: fixture.context()) == ["db"])
            #expect(try database.labelValues("app", all, in: fixture.context()) == ["api", "db"])
            #expect(try database.labelNames(all, in: fixture.context()) == ["app"])
            try database.seal()
        }
        #expect(database.cardinality(limit: 1).byLabelName == [CardinalityEntry(name: "app", count: 2)])
        try database.close()
    }

    @Test func theMaintenanceThreadSealsByItself() async throws {
        var fixture = try LogFixture()
        fixture.options.maintenanceMilliseconds = 50
        fixture.options.sealAgeMilliseconds = 1000
        let database = try fixture.open()
        _ = try await database.append(LogBatch(app, [(fixture.time(0), "one")]))
        fixture.clock.advance(milliseconds: 2000)
        for _ in 0..<200 where database.state.withLock({ $0.parts.isEmpty }) {
            try await Task.sleep(nanoseconds: 20_000_000)
        }
        #expect(database.state.withLock { $0.parts.count } == 1)
        #expect(try database.lines(all, fixture.context()).count == 1)
        try database.close()
    }

    @Test func smallBlocksAndLargeOnesAnswerTheSame() async throws {
        let fixture = try LogFixture()
        let database = try fixture.open()
        var expected: [String] = []
        for round in 0..<12 {
            let lines = (0..<1500).map { number -> (Int64, String) in
                (fixture.time(Int64(round * 1500 + number)), "\(round) \(number) \(String(repeating: "x", count: 300))")
            }
            expected += lines.map(\.1)
            _ = try await database.append(LogBatch(app, lines))
            database.maintain()
        }
        // Full blocks were encoded in memory, none is in a part yet.
        #expect(database.state.withLock { $0.heads.values.first?.blocks.count ?? 0 } >= 2)
        #expect(try database.lines(all, fixture.context()).map(\.text) == expected)
        let before = database.memoryBytes
        #expect(database.releaseMemory(bytes: 1) > 0 && database.memoryBytes < before)
        #expect(try database.lines(all, fixture.context()).map(\.text) == expected)
        // A query that stops early reads little.
        let context = fixture.context()
        let request = LogRequest(matchers: [], range: .all, direction: .backward, limit: 10)
        let cursor = try database.select(request, in: context).cursor
        var buffer = LogLineBuffer()
        #expect(try cursor.next(into: &buffer))
        #expect(buffer.count == 10 && context.statistics.blocksRead == 1)
        try database.close()
    }
}
