import Disk
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import TSDB

/// The database from outside: what goes in comes out, before and after seals and restarts.
struct MetricDatabaseTests {
    private let start: Int64 = 1_700_000_000_000

    private func scrape(_ tick: Int, instances: Int = 2, names: Int = 3) -> SampleBatch {
        var groups: [SampleGroup] = []
        for instance in 0..<instances {
            var group = SampleGroup(
                target: Labels(["job": "node", "instance": "\(instance)"]), intervalMilliseconds: 1000)
            for name in 0..<names {
                group.append(
                    .series("metric_\(name)", instance: "\(instance)"), milliseconds: start + Int64(tick) * 1000,
                    value: Double(tick * (name + 1)) / 10)
            }
            groups.append(group)
        }
        return SampleBatch(groups: groups)
    }

    @Test func samplesComeBackFromHeadBlocksAndBothAfterRestarts() throws {
        var harness = try DatabaseHarness()
        for tick in 0..<50 {
            #expect(try harness.append(scrape(tick)).accepted == 6)
            if tick % 7 == 6 { harness.database.maintain() }
        }
        func check() throws {
            let all = try harness.samples()
            #expect(all.count == 6)
            for name in 0..<3 {
                let series = all[.series("metric_\(name)", instance: "1")] ?? [:]
                #expect(series.count == 50)
                #expect(series[start + 30_000] == (Double(30 * (name + 1)) / 10).bitPattern)
            }
        }
        try check()
        #expect(!harness.database.blocks.view.blocks.isEmpty)
        try harness.restart()
        try check()
        try harness.database.seal()
        try check()
        #expect(harness.database.head.rowBytes.load(ordering: .relaxed) == 0)
        try harness.restart()
        try check()
        #expect(harness.database.findings == [])
        #expect(harness.database.counters.samplesReplayed.load(ordering: .relaxed) == 0)
    }

    @Test func theSameDeliveryTwiceChangesNothing() throws {
        var harness = try DatabaseHarness()
        let sender = DeliveryIdentity.Sender(agent: "00ff", epoch: 1, lane: .live)
        var batch = scrape(1)
        batch.delivery = DeliveryIdentity(sender: sender, sequence: 1)
        let first = try harness.append(batch)
        #expect(first.marks == DeliveryMarks(synced: 1, archived: 1) && !first.isDuplicate)
        #expect(try harness.append(batch).isDuplicate)
        try harness.restart()
        #expect(try harness.append(batch).isDuplicate)
        try harness.database.seal()
        try harness.restart()
        let again = try harness.append(batch)
        #expect(again.isDuplicate && again.accepted == 0 && again.marks?.synced == 1)
        batch.delivery?.sequence = 2
        #expect(try !harness.append(batch).isDuplicate)
    }

    @Test func aHistogramThatCannotBeIsRefusedAlone() throws {
        let harness = try DatabaseHarness()
        var good = NativeHistogram()
        (good.positiveSpans, good.positiveCounts, good.count) = ([.init(offset: 0, length: 1)], [2], 2)
        var bad = good
        bad.schema = 100
        var group = SampleGroup()
        group.series = [.labels(.series("good")), .labels(.series("bad"))]
        let now = harness.clock.nowMilliseconds
        group.histograms = [
            HistogramSample(seriesIndex: 1, milliseconds: now, histogram: bad),
            HistogramSample(seriesIndex: 0, milliseconds: now, histogram: good),
        ]
        let receipt = try harness.append(SampleBatch(groups: [group]))
        #expect(receipt.accepted == 1)
        let refused = try #require(receipt.rejections.first)
        #expect(receipt.rejections.count == 1 && refused.labels == .series("bad"))
        #expect(refused.explanation.hasPrefix("invalid histogram: histogram has an invalid schema"))
    }

    @Test func samplesAreRefusedForAReasonEach() throws {
        var harness = try DatabaseHarness()
        let now = harness.clock.nowMilliseconds
        let labels = Labels.series("up")
        func reasons(_ labels: Labels, _ time: Int64, _ value: Double) throws -> [SampleRejection.Reason] {
            try harness.append(.scrape([(labels, value)], at: time)).rejections.map(\.reason)
        }
        #expect(try reasons(labels, now, 1) == [])
        #expect(try reasons(labels, now, 1) == [])
        #expect(try reasons(labels, now, 2) == [.duplicate])
        #expect(try reasons(labels, now + 600_001, 1) == [.tooFarAhead])
        #expect(try reasons(labels, now - 1_800_000, 1) == [])
        #expect(try reasons(labels, now - 1_800_001, 1) == [])
        #expect(try reasons(.empty, now, 1) == [.invalidLabels])
        #expect(try reasons(Labels(canonical: [1, 2, 3]), now, 1) == [.invalidLabels])
        harness.options.seriesMaximum = 1
        try harness.restart()
        #expect(try reasons(.series("other"), now, 1) == [.seriesLimit])
        #expect(try harness.samples()[labels]?.count == 3)
        var backlog = SampleBatch.scrape([(labels, 5)], at: now - 90_000_000)
        backlog.delivery = DeliveryIdentity(
            sender: DeliveryIdentity.Sender(agent: "a", epoch: 1, lane: .backlog), sequence: 1)
        #expect(try harness.append(backlog).accepted == 1)
        #expect(try harness.samples()[labels]?.count == 4)
        _ = try harness.database.enforceRetention(retentionMilliseconds: 100_000_000, nowMilliseconds: now)
        #expect(try reasons(labels, now - 100_000_001, 1) == [.tooOld])
    }

    @Test func contradictoryBatchesAreMalformed() throws {
        let harness = try DatabaseHarness()
        var group = SampleGroup()
        group.append(.series("up"), milliseconds: start, value: 1)
        group.seriesIndexes[0] = 7
        #expect(throws: AppendRefusal.self) { try harness.append(SampleBatch(groups: [group])) }
        group.seriesIndexes = []
        #expect(throws: AppendRefusal.self) { try harness.append(SampleBatch(groups: [group])) }
        #expect(try harness.samples().isEmpty)
    }

    @Test func matchersFollowPrometheus() throws {
        let harness = try DatabaseHarness()
        let series: [Labels] = [
            Labels(["__name__": "a", "job": "x", "env": "prod"]), Labels(["__name__": "a", "job": "y"]),
            Labels(["__name__": "b", "job": "x", "env": "test"]), Labels(["__name__": "b", "job": "zz"]),
        ]
        _ = try harness.append(.scrape(series.map { ($0, 1) }, at: start))
        let cases: [([LabelMatcher], [Int])] = [
            ([.equal("__name__", "a")], [0, 1]), ([.equal("env", "")], [1, 3]),
            ([try LabelMatcher("env", .notEqual, "")], [0, 2]),
            ([try LabelMatcher("env", .notEqual, "prod")], [1, 2, 3]),
            ([try LabelMatcher("job", .matchesRegex, "x|y")], [0, 1, 2]),
            ([try LabelMatcher("job", .matchesRegex, "z+")], [3]),
            ([try LabelMatcher("job", .matchesRegex, "z.*")], [3]),
            ([try LabelMatcher("job", .matchesRegex, "zz?")], [3]),
            ([try LabelMatcher("env", .matchesRegex, "pr.d")], [0]),
            ([try LabelMatcher("env", .matchesRegex, "pz*r.*")], [0]),
            ([try LabelMatcher("env", .matchesRegex, "q.*")], []),
            ([try LabelMatcher("env", .matchesRegex, "prod.+")], []),
            ([try LabelMatcher("env", .matchesRegex, "(?i)PROD")], [0]),
            ([try LabelMatcher("env", .matchesRegex, "te{1}st")], [2]),
            ([try LabelMatcher("env", .matchesRegex, "prod|")], [0, 1, 3]),
            ([try LabelMatcher("env", .matchesRegex, ".*")], [0, 1, 2, 3]),
            ([try LabelMatcher("env", .matchesRegex, ".+")], [0, 2]),
            ([try LabelMatcher("env", .notMatchesRegex, "p.*")], [1, 2, 3]),
            ([.equal("absent", "x")], []), ([.equal("absent", "")], [0, 1, 2, 3]),
            ([.equal("job", "x"), try LabelMatcher("env", .notMatchesRegex, "test")], [0]), ([], [0, 1, 2, 3]),
        ]
        func check() throws {
            for (matchers, expected) in cases {
                let request = SeriesRequest(matchers: matchers, range: .all)
                let found = try harness.database.series(request, in: harness.context)
                #expect(found == expected.map { series[$0] }.sorted(), "\(matchers)")
                for name in ["__name__", "env", "job", "absent"] {
                    let values = try harness.database.labelValues(name, request, in: harness.context)
                    #expect(values == Set(found.compactMap { $0[name] }).sorted(), "\(name) of \(matchers)")
                }
            }
            let all = SeriesRequest(matchers: [], range: .all)
            #expect(try harness.database.labelNames(all, in: harness.context) == ["__name__", "env", "job"])
            #expect(try harness.database.labelValues("job", all, in: harness.context) == ["x", "y", "zz"])
        }
        try check()
        try harness.database.seal()
        try check()
        _ = try harness.append(.scrape(series.map { ($0, 2) }, at: start + 1000))
        try check()
    }

    @Test func lateSamplesAreMergedInTimeOrderAndTheFirstOfTwoStays() throws {
        var harness = try DatabaseHarness()
        let labels = Labels.series("up")
        for offset in [10, 12, 14] as [Int64] {
            _ = try harness.append(.scrape([(labels, Double(offset))], at: start + offset))
        }
        try harness.database.seal()
        for (offset, value) in [(11, 11.0), (20, 20), (12, 99), (9, 9)] {
            _ = try harness.append(.scrape([(labels, value)], at: start + Int64(offset)))
        }
        let expected = Dictionary(
            uniqueKeysWithValues: [9, 10, 11, 12, 14, 20].map { (start + Int64($0), Double($0).bitPattern) })
        #expect(try harness.samples()[labels] == expected)
        try harness.database.seal()
        #expect(try harness.samples()[labels] == expected)
        try harness.restart()
        #expect(try harness.samples()[labels] == expected)
    }

    @Test func everyBitPatternSurvives() throws {
        let harness = try DatabaseHarness()
        let labels = Labels.series("weird")
        for (index, bits) in ColumnGenerator.special.enumerated() {
            _ = try harness.append(.scrape([(labels, Double(bitPattern: bits))], at: start + Int64(index)))
        }
        let expected = Dictionary(
            uniqueKeysWithValues: ColumnGenerator.special.enumerated().map { (start + Int64($0.offset), $0.element) })
        #expect(try harness.samples()[labels] == expected)
        try harness.database.seal()
        #expect(try harness.samples()[labels] == expected)
    }

    @Test func histogramsAndStartTimesComeBack() throws {
        var harness = try DatabaseHarness()
        var generator = SeededGenerator(seed: 5)
        let labels = Labels.series("latency")
        var sent: [NativeHistogram] = []
        for tick in 0..<20 {
            var group = SampleGroup()
            group.series = [.labels(labels)]
            sent.append(ColumnGenerator.histogram(using: &generator))
            group.histograms = [
                HistogramSample(
                    seriesIndex: 0, milliseconds: start + Int64(tick), startMilliseconds: start - 5,
                    histogram: sent[tick])
            ]
            #expect(try harness.append(SampleBatch(groups: [group])).accepted == 1)
            if tick == 9 { try harness.database.seal() }
            if tick == 14 { try harness.restart() }
        }
        var got: [NativeHistogram] = []
        var starts: [Int64] = []
        var buffer = SampleBuffer()
        for cursor in try harness.database.select(SeriesRequest(matchers: [], range: .all), in: harness.context) {
            while try cursor.next(into: &buffer) {
                got += buffer.histograms
                starts += buffer.startTimesMilliseconds
            }
        }
        #expect(got.count == 20 && zip(got, sent).allSatisfy { $0.isIdentical(to: $1) })
        #expect(starts == [Int64](repeating: start - 5, count: 20))
    }

    @Test func aCursorShowsWhatWasThereWhenItWasMade() throws {
        let harness = try DatabaseHarness()
        for tick in 0..<5 { _ = try harness.append(scrape(tick)) }
        let cursors = try harness.database.select(SeriesRequest(matchers: [], range: .all), in: harness.context)
        for tick in 5..<9 { _ = try harness.append(scrape(tick)) }
        try harness.database.seal()
        _ = try harness.append(scrape(9))
        var buffer = SampleBuffer()
        for cursor in cursors {
            var count = 0
            while try cursor.next(into: &buffer) { count += buffer.values.count }
            #expect(count == 5)
        }
    }

    @Test func headersAnswerWholeChunksWhenAsked() throws {
        let harness = try DatabaseHarness()
        for tick in 0..<40 { _ = try harness.append(scrape(tick)) }
        try harness.database.seal()
        let hints = SelectHints(function: "sum_over_time", windowMilliseconds: 100_000)
        let request = SeriesRequest(
            matchers: [.equal("__name__", "metric_0"), .equal("instance", "0")], range: .all, hints: hints)
        let cursor = try #require(try harness.database.select(request, in: harness.context).first)
        var buffer = SampleBuffer()
        #expect(try cursor.next(into: &buffer))
        let aggregate = try #require(buffer.aggregate)
        #expect(aggregate.count == 40 && aggregate.sum == 78 && aggregate.minimum == 0 && aggregate.maximum == 3.9)
        #expect(aggregate.first.milliseconds == start && aggregate.last.milliseconds == start + 39_000)
        #expect(aggregate.increase == 3.9 && aggregate.resets == 0)
        #expect(try !cursor.next(into: &buffer))
    }
}
