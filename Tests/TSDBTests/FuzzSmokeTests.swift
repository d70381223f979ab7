import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import TSDB

/// A short run of each fuzzer of this room; `make fuzz` runs them for longer.
struct FuzzSmokeTests {
    @Test func damagedBlocksNeverLieAndNeverCrash() throws {
        try MetricBlockFuzzer.runFromTable()
    }

    @Test func damagedRecordsNeverCrash() throws {
        try MetricRecordFuzzer.runFromTable()
    }

    @Test(arguments: 0..<60 as Range<UInt64>) func recordsComeBackAsTheyWent(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let batch = RecordExamples.random(using: &generator)
        let record = try RecordExamples.encode(batch).withUnsafeBytes { try HeadRecordReader.batch($0) }
        #expect(record.delivery == batch.delivery && record.metadata == batch.metadata)
        var sent: [Labels: [Int64: UInt64]] = [:]
        for group in batch.groups {
            for index in group.values.indices {
                let labels = group.series[Int(group.seriesIndexes[index])].labels
                let time = group.timesMilliseconds[index]
                if sent[labels]?[time] == nil { sent[labels, default: [:]][time] = group.values[index].bitPattern }
            }
        }
        var got: [Labels: [Int64: UInt64]] = [:]
        for group in record.groups {
            #expect(group.isFull && group.isChained)
            for (index, reference) in try #require(group.series).enumerated() {
                let labels = try #require(reference.labels)
                let isOneRow = group.cellStarts.isEmpty
                var bits: UInt64 = 0
                for cell in isOneRow ? index..<index + 1 : group.cellStarts[index]..<group.cellStarts[index + 1] {
                    bits ^= group.values[cell]
                    got[labels, default: [:]][group.times[isOneRow ? 0 : Int(group.rows[cell])]] = bits
                }
            }
        }
        #expect(got == sent)
        #expect(record.groups.flatMap(\.histograms).count == batch.groups.flatMap(\.histograms).count)
    }
}
