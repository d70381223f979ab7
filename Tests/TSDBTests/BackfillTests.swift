import Disk
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import TSDB

/// Samples of a time long past: stored, merged, and told apart from what is there.
struct BackfillTests {
    private let day: Int64 = 86_400_000

    private func fill(_ harness: DatabaseHarness, from first: Int64, count: Int, value: Double = 0) throws -> Int {
        var accepted = 0
        for tick in 0..<count {
            let time = first + Int64(tick) * 1000
            accepted += try harness.append(
                .scrape([(.series("a"), Double(tick) + value), (.series("b"), Double(tick) * 0.5 + value)], at: time)
            ).accepted
        }
        return accepted
    }

    @Test func olderSamplesGoToBlocksOfTheirOwnAndAllAreRead() throws {
        var harness = try DatabaseHarness()
        harness.options.blocksPerMerge = 100
        try harness.restart()
        let now = harness.clock.nowMilliseconds
        #expect(try fill(harness, from: now, count: 5) == 10)
        #expect(try fill(harness, from: now - 3 * day, count: 5) == 10)
        #expect(try fill(harness, from: now - 30 * day, count: 5) == 10)
        let before = try harness.samples()
        #expect(before[.series("a")]?.count == 15)
        try harness.database.seal()
        let times = harness.database.blocks.view.blocks.map(\.times)
        #expect(times.count == 3 && times.allSatisfy { $0.width < 100_000 })
        #expect(try harness.samples() == before)
        try harness.restart()
        #expect(try harness.samples() == before)
        #expect(harness.database.findings.isEmpty)
    }

    @Test func theSameAgainIsSilentAndAnotherValueIsAnErrorThatNamesTheSeries() throws {
        var harness = try DatabaseHarness()
        let now = harness.clock.nowMilliseconds
        _ = try fill(harness, from: now, count: 5)
        _ = try fill(harness, from: now - 3 * day, count: 5)
        for round in 0..<3 {
            #expect(try fill(harness, from: now - 3 * day, count: 5) == 10)
            #expect(try fill(harness, from: now, count: 5) == 10)
            for time in [now - 3 * day, now] {
                let receipt = try harness.append(.scrape([(.series("a"), 99), (.series("c"), 1)], at: time))
                #expect(receipt.accepted == 1 && receipt.rejections.map(\.labels) == [.series("a")])
                #expect(receipt.rejections.map(\.reason) == [.duplicate], "round \(round)")
            }
            if round == 0 { try harness.database.seal() } else { try harness.restart() }
        }
        #expect(try harness.samples()[.series("a")]?.count == 10)
    }

    @Test func histogramsAreComparedToo() throws {
        let harness = try DatabaseHarness()
        let now = harness.clock.nowMilliseconds
        var generator = SeededGenerator(seed: 3)
        let (one, other) = (
            ColumnGenerator.histogram(using: &generator), ColumnGenerator.histogram(using: &generator)
        )
        func send(_ histogram: NativeHistogram, at time: Int64) throws -> AppendReceipt {
            var group = SampleGroup()
            group.series = [.labels(.series("h"))]
            group.histograms = [HistogramSample(seriesIndex: 0, milliseconds: time, histogram: histogram)]
            return try harness.append(SampleBatch(groups: [group]))
        }
        #expect(try send(one, at: now).accepted == 1)
        #expect(try send(one, at: now - 3 * day).accepted == 1)
        try harness.database.seal()
        #expect(try send(one, at: now - 3 * day).accepted == 1)
        #expect(try send(other, at: now - 3 * day).rejections.map(\.reason) == [.duplicate])
        #expect(try send(other, at: now - 2 * day).accepted == 1)
    }

    @Test func thePresentIsMergedPastWhatWasFilledIn() throws {
        var harness = try DatabaseHarness()
        let now = harness.clock.nowMilliseconds
        for round in 0..<4 {
            _ = try fill(harness, from: now + Int64(round) * 5000, count: 5)
            if round == 1 { _ = try fill(harness, from: now - 30 * day, count: 3) }
            try harness.database.seal()
        }
        let before = try harness.samples()
        #expect(harness.database.counters.merges.load(ordering: .relaxed) == 1)
        #expect(harness.database.blocks.view.blocks.map(\.history.level).sorted() == [0, 0, 1])
        try harness.restart()
        #expect(try harness.samples() == before && before[.series("a")]?.count == 23)
    }

    @Test func blocksThatOverlapBecomeOne() throws {
        var harness = try DatabaseHarness()
        let now = harness.clock.nowMilliseconds
        _ = try fill(harness, from: now, count: 3)
        for part in 0..<3 {
            for tick in 0..<5 {
                let time = now - 30 * day + Int64(tick * 3 + part) * 1000
                _ = try harness.append(.scrape([(.series("a"), Double(tick))], at: time))
            }
            try harness.database.seal()
        }
        let past = harness.database.blocks.view.blocks.filter { $0.times.endMilliseconds < now - day }
        #expect(past.count == 1 && past.first?.history.level == 1 && past.first?.reader.footer.sampleCount == 15)
        #expect(try harness.samples()[.series("a")]?.count == 18)
        try harness.restart()
        #expect(try harness.samples()[.series("a")]?.count == 18)
    }

    @Test func samplesOfManyYearsDoNotMakeThousandsOfBlocks() throws {
        let harness = try DatabaseHarness()
        let now = harness.clock.nowMilliseconds
        _ = try fill(harness, from: now, count: 1)
        for week in 1..<1500 {
            _ = try harness.append(.scrape([(.series("a"), Double(week))], at: now - Int64(week) * 7 * day))
        }
        try harness.database.seal()
        #expect(harness.database.blocks.view.blocks.count < 40)
        #expect(try harness.samples()[.series("a")]?.count == 1500)
    }
}
