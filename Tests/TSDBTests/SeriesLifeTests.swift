import Disk
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import TSDB

/// Everything that is said of a series goes through log, head, blocks and merges as it came.
struct SeriesLifeTests {
    private let start: Int64 = 1_700_000_000_000

    private func histogram(_ tick: Int) -> NativeHistogram {
        var histogram = NativeHistogram()
        if tick % 3 == 0 {
            histogram.schema = NativeHistogram.customBucketsSchema
            histogram.customBounds = [0.1, 0.5, 2, .infinity.nextDown]
        } else {
            histogram.schema = Int32(tick % 8)
            histogram.zeroThreshold = 0x1p-128
            histogram.negativeSpans = [NativeHistogram.Span(offset: -4, length: 1)]
            histogram.negativeCounts = [Double(tick)]
        }
        let isCustom = histogram.schema == NativeHistogram.customBucketsSchema
        histogram.positiveSpans = [
            NativeHistogram.Span(offset: isCustom ? 0 : -2, length: 2), NativeHistogram.Span(offset: 2, length: 1),
        ]
        histogram.positiveCounts = [Double(tick), 0.5, 9_007_199_254_740_994]
        histogram.count = Double(tick) + 3
        histogram.zeroCount = isCustom || tick % 2 == 0 ? -0.0 : 1
        // The sum of a series that ended is the stale marker.
        histogram.sum = tick % 7 == 6 ? Sample.stale : Double(bitPattern: UInt64(tick) &* 0x9e37_79b9_7f4a_7c15)
        histogram.counterResetHint = [.unknown, .reset, .notReset, .gauge][tick % 4]
        histogram.isInteger = tick % 5 == 0
        if histogram.isInteger {
            histogram.count = (histogram.positiveCounts + histogram.negativeCounts).reduce(histogram.zeroCount, +)
        }
        return histogram
    }

    private func batch(_ tick: Int) -> SampleBatch {
        var group = SampleGroup(target: Labels(["job": "node"]))
        group.series = [.labels(.series("h")), .labels(.series("f"))]
        let time = start + Int64(tick) * 1000
        group.histograms = [
            HistogramSample(
                seriesIndex: 0, milliseconds: time, startMilliseconds: start - Int64(tick / 10),
                histogram: histogram(tick))
        ]
        group.seriesIndexes = [1]
        group.timesMilliseconds = [time]
        group.values = [tick % 11 == 10 ? Sample.stale : Double(tick)]
        group.startTimesMilliseconds = [tick % 4 == 0 ? 0 : start - Int64(tick / 7)]
        let metadata = MetricMetadata(metricName: "f", kind: .counter, unit: "seconds", help: "At \(tick).")
        return SampleBatch(groups: [group], metadata: [metadata])
    }

    @Test func histogramsStartTimesAndMetadataSurviveRestartsSealsAndMerges() throws {
        var harness = try DatabaseHarness()
        for tick in 0..<45 {
            #expect(try harness.append(batch(tick)).accepted == 2)
            if tick % 5 == 4 { try harness.database.seal() }
            if tick % 8 == 7 { try harness.restart() }
        }
        #expect(harness.database.blocks.view.blocks.contains { $0.history.level > 0 })
        for _ in 0..<2 {
            var buffer = SampleBuffer()
            var histograms: [NativeHistogram] = []
            var values: [UInt64] = []
            var starts: [String: [Int64]] = [:]
            for cursor in try harness.database.select(SeriesRequest(matchers: [], range: .all), in: harness.context) {
                while try cursor.next(into: &buffer) {
                    histograms += buffer.histograms
                    values += buffer.values.map(\.bitPattern)
                    let count = buffer.timesMilliseconds.count
                    starts[cursor.labels.metricName ?? "", default: []] +=
                        buffer.startTimesMilliseconds.isEmpty
                        ? [Int64](repeating: 0, count: count) : buffer.startTimesMilliseconds
                }
            }
            #expect(histograms.count == 45 && zip(histograms, 0..<45).allSatisfy { $0.isIdentical(to: histogram($1)) })
            let sent = (0..<45).map { batch($0).groups[0] }
            #expect(values == sent.map { $0.values[0].bitPattern })
            #expect(starts["f"] == sent.map { $0.startTimesMilliseconds[0] })
            #expect(starts["h"] == sent.map { $0.histograms[0].startMilliseconds })
            let metadata = try harness.database.metadata(metricName: "f", limit: 0, in: harness.context)
            #expect(metadata == batch(44).metadata)
            try harness.restart()
        }
    }
}
