import Disk
import Synchronization
import Telemetry
import TestSupport

@testable import TSDB

/// Payloads of log records: fixed ones for golden bytes, random ones for round trips and fuzzing.
struct RecordExamples {
    var payloads: [[UInt8]] = []

    /// A few random records.
    init(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var segment = Writer()
        for _ in 0..<20 {
            payloads.append(Self.encode(Self.random(using: &generator)))
            payloads.append(segment.encode(Self.random(using: &generator)))
            payloads.append(ColumnBytes.encode(ColumnGenerator.floats(using: &generator)))
        }
        payloads.append(HeadRecordWriter.marks([Self.sender: 7]))
    }

    static let sender = DeliveryIdentity.Sender(agent: "00ff", epoch: 2, lane: .backlog)

    /// Writes the records of one segment, each building on those before.
    struct Writer {
        private let head = Head(after: .init(0), ids: IdentifierSource(first: 16), wallClock: ManualClock())

        /// The record of a batch.
        mutating func encode(_ batch: SampleBatch) -> [UInt8] {
            var options = MetricDatabaseOptions()
            options.behindMilliseconds = .max
            options.aheadMilliseconds = 0
            guard let prepared = try? head.prepare(batch, options: options, nowMilliseconds: .max) else { return [] }
            var writer = HeadRecordWriter(epoch: 1)
            return writer.batch(prepared.writes, metadata: batch.metadata, delivery: batch.delivery)
        }
    }

    /// The record of a batch, as the database writes it in a fresh segment.
    static func encode(_ batch: SampleBatch) -> [UInt8] {
        var writer = Writer()
        return writer.encode(batch)
    }

    /// A scrape, or scattered samples with start times and histograms.
    static func random(using generator: inout SeededGenerator) -> SampleBatch {
        var batch = SampleBatch(groups: [])
        for target in 0..<generator.int(in: 1..<3) {
            var group = SampleGroup(target: Labels(["job": "j\(target)"]))
            let isScrape = generator.oneIn(2)
            for number in 0..<generator.int(in: 1..<10) {
                group.series.append(.labels(.series("m\(number)", job: "j\(target)")))
                for _ in 0..<(isScrape ? 1 : generator.int(in: 0..<4)) {
                    group.seriesIndexes.append(UInt32(number))
                    group.timesMilliseconds.append(isScrape ? 1000 : Int64(generator.int(in: 0..<50)))
                    let bits = ColumnGenerator.floats(using: &generator)[0]
                    group.values.append(Double(bitPattern: bits))
                }
            }
            if generator.oneIn(2) {
                group.startTimesMilliseconds = group.values.map { _ in Int64(generator.int(in: 0..<3)) * 500 }
            }
            if generator.oneIn(3) {
                let histogram = ColumnGenerator.histogram(using: &generator)
                group.histograms = [HistogramSample(seriesIndex: 0, milliseconds: 7, histogram: histogram)]
            }
            batch.groups.append(group)
        }
        if generator.oneIn(2) { batch.delivery = DeliveryIdentity(sender: sender, sequence: generator.next()) }
        if generator.oneIn(3) { batch.metadata = [MetricMetadata(metricName: "m1", kind: .gauge, help: "One.")] }
        return batch
    }
}
