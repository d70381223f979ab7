internal import Disk
internal import Telemetry
internal import TestSupport
internal import Testing

@testable internal import LogStore

/// What a user of the store sees: append, ask, restart, seal.
struct LogDatabaseTests {
    let app = Labels(["app": "api", "container": "web-1"])
    let other = Labels(["app": "db", "container": "db-1"])

    @Test func linesAreAnsweredFromHeadLogAndPart() async throws {
        let fixture = try LogFixture()
        let lines = (0..<10).map { (fixture.time(Int64($0)), "line \($0)") }
        var database = try fixture.open()
        let receipt = try await database.append(LogBatch(app, lines))
        #expect(receipt.accepted == 10)
        let request = LogRequest(matchers: [.equal("app", "api")], range: .all)
        let expected = lines.map { AnsweredLine(labels: app, nanoseconds: $0.0, line: Array($0.1.utf8)) }
        #expect(try database.lines(request, fixture.context()) == expected)
        try database.close()
        database = try fixture.open()
        #expect(try database.lines(request, fixture.context()) == expected)
        try database.seal()
        #expect(try database.lines(request, fixture.context()) == expected)
        try database.close()
        database = try fixture.open()
        #expect(try database.lines(request, fixture.context()) == expected)
        #expect(database.metrics.first { $0.name == "vedette_logs_part_lines" }?.value == 10)
        #expect(database.metrics.first { $0.name == "vedette_logs_replayed_batches_total" }?.value == 0)
        try database.close()
    }

    @Test func backwardIsExactlyTheReverseOfForward() async throws {
        let fixture = try LogFixture()
        let database = try fixture.open()
        for round in 0..<3 {
            for labels in [app, other] {
                let lines = (0..<50).map { (fixture.time(Int64($0 / 5)), "\(round) \($0)") }
                _ = try await database.append(LogBatch(labels, lines))
            }
            if round == 1 { try database.seal() }
        }
        var request = LogRequest(matchers: [], range: .all)
        let forward = try database.lines(request, fixture.context())
        #expect(forward.count == 300)
        #expect(zip(forward, forward.dropFirst()).allSatisfy { $0.nanoseconds <= $1.nanoseconds })
        request.direction = .backward
        #expect(try database.lines(request, fixture.context()) == forward.reversed())
        // Equal times of one stream keep their order of arrival.
        let first = forward.filter { $0.labels == app && $0.nanoseconds == fixture.time(0) }.map(\.text)
        #expect(first == (0..<3).flatMap { round in (0..<5).map { "\(round) \($0)" } })
        try database.close()
    }

    @Test func filtersCutTimeAndText() async throws {
        let fixture = try LogFixture()
        let database = try fixture.open()
        let lines = (0..<100).map { (fixture.time(Int64($0)), $0 % 10 == 0 ? "error number \($0)" : "fine \($0)") }
        _ = try await database.append(LogBatch(app, lines))
        func texts(_ predicates: [LinePredicate]) throws -> [String] {
            let request = LogRequest(
                matchers: [try LabelMatcher("app", .matchesRegex, "a.*")],
                range: LogTimeRange(startNanoseconds: fixture.time(10), endNanoseconds: fixture.time(50)),
                fragment: LogPlanFragment(linePredicates: predicates))
            return try database.lines(request, fixture.context()).map(\.text)
        }
        for isSealed in [false, true] {
            if isSealed { try database.seal() }
            #expect(try texts([]).count == 40)
            #expect(try texts([LinePredicate(.contains, ["error"])]) == [10, 20, 30, 40].map { "error number \($0)" })
            #expect(try texts([LinePredicate(.contains, ["ERROR"], foldsCase: true)]).count == 4)
            #expect(try texts([LinePredicate(.contains, ["error"], isNegated: true)]).count == 36)
            #expect(try texts([LinePredicate(.matchesRegex, ["number [23]0$"])]).count == 2)
            #expect(try texts([LinePredicate(.matchesPattern, ["error <_> 40"])]) == ["error number 40"])
            #expect(
                try texts([LinePredicate(.contains, ["error"]), LinePredicate(.contains, ["20", "30"])]).count == 2)
        }
        try database.close()
    }

    @Test func aDeliveryIsStoredOnceAlsoAfterARestart() async throws {
        let fixture = try LogFixture()
        var database = try fixture.open()
        let batch = LogBatch(
            app, LogOrigin(source: "a/1", generation: 1), [(fixture.time(0), "one"), (fixture.time(1), "two")],
            delivery: DeliveryIdentity("agent", 7))
        for isSealed in [false, true] {
            let receipt = try await database.append(batch)
            #expect(receipt.accepted == (isSealed ? 0 : 2))
            #expect(receipt.isDuplicate == isSealed)
            #expect(receipt.marks == DeliveryMarks(synced: 7, archived: 7))
            try database.seal()
            try database.close()
            database = try fixture.open()
        }
        let again = try await database.append(batch)
        #expect(again.isDuplicate && again.marks?.synced == 7)
        // The same bytes in another delivery are known by their offsets.
        var renamed = batch
        renamed.delivery = DeliveryIdentity("agent", 8)
        let receipt = try await database.append(renamed)
        #expect(receipt.accepted == 0 && receipt.duplicates == 2 && !receipt.isDuplicate)
        #expect(try database.lines(LogRequest(matchers: [], range: .all), fixture.context()).count == 2)
        try database.close()
    }

    @Test func linesWithoutAnOriginAreStoredOnceWithinFiveMinutes() async throws {
        let fixture = try LogFixture()
        var database = try fixture.open()
        let batch = LogBatch(app, [(fixture.time(0), "one"), (fixture.time(0), "two"), (fixture.time(0), "one")])
        #expect(try await database.append(batch).accepted == 2)
        #expect(try await database.append(batch).accepted == 0)
        try database.seal()
        try database.close()
        fixture.clock.advance(milliseconds: 60_000)
        database = try fixture.open()
        #expect(try await database.append(batch).accepted == 0)
        fixture.clock.advance(milliseconds: 6 * 60_000)
        #expect(try await database.append(batch).accepted == 2)
        try database.close()
    }

    @Test func countsNeedNoLines() async throws {
        let fixture = try LogFixture()
        let database = try fixture.open()
        let lines = (0..<100).map { (fixture.time(Int64($0)), $0 % 4 == 0 ? "error" : "fine") }
        _ = try await database.append(LogBatch(app, lines))
        _ = try await database.append(LogBatch(other, lines))
        for isSealed in [false, true] {
            if isSealed { try database.seal() }
            var request = LogRequest(
                matchers: [], range: LogTimeRange(startNanoseconds: fixture.time(5), endNanoseconds: fixture.time(95)))
            let perStream = try database.counts(request, bucketNanoseconds: 30_000_000, in: fixture.context())
            #expect(perStream?.map(\.labels) == [app, other])
            #expect(perStream?.map(\.lines) == [[30, 30, 30], [30, 30, 30]])
            request.fragment.linePredicates = [LinePredicate(.contains, ["error"])]
            request.fragment.grouping = []
            let grouped = try database.counts(request, bucketNanoseconds: 30_000_000, in: fixture.context())
            #expect(grouped?.map(\.lines) == [[14, 16, 14]])
            #expect(grouped?.map(\.bytes) == [[70, 80, 70]])
        }
        try database.close()
    }

    @Test func aTailIsPushedAndResumed() async throws {
        let fixture = try LogFixture()
        var database = try fixture.open()
        let request = LogRequest(
            matchers: [.equal("app", "api")], range: .all,
            fragment: LogPlanFragment(linePredicates: [LinePredicate(.contains, ["e"])]))
        let tail = try database.subscribe(request, from: nil)
        _ = try await database.append(LogBatch(app, [(fixture.time(0), "one"), (fixture.time(1), "xx")]))
        _ = try await database.append(LogBatch(other, [(fixture.time(0), "no")]))
        guard case .lines(let first, let next)? = try await tail.next() else {
            Issue.record("no lines came")
            return
        }
        #expect(first.count == 1 && Array(first.line(0)) == Array("one".utf8))
        _ = try await database.append(LogBatch(app, [(fixture.time(2), "three")]))
        let resumed = try database.subscribe(request, from: next)
        guard case .lines(let second, let position)? = try await resumed.next() else {
            Issue.record("no lines came")
            return
        }
        #expect(second.count == 1 && Array(second.line(0)) == Array("three".utf8))
        try database.seal()
        try database.close()
        if case .some = try await resumed.next() { Issue.record("a closed store went on") }
        // After a restart, what came between is told as missed.
        database = try fixture.open()
        let late = try database.subscribe(request, from: next)
        guard case .missed(let lines, let range, let end)? = try await late.next() else {
            Issue.record("nothing was told")
            return
        }
        #expect(lines >= 1 && range.contains(fixture.time(2)) && end == position)
        try database.close()
    }
}
