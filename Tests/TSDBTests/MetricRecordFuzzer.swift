internal import TestSupport

@testable internal import TSDB

/// Feeds damaged payloads to the readers of log records and of columns: an error or a value, never a crash, and never
/// more memory than the bytes can ask for.
struct MetricRecordFuzzer: Fuzzer {
    static let name = "metric-record"

    static func run(seed: UInt64, events: Int) throws {
        var generator = SeededGenerator(seed: seed)
        let examples = try RecordExamples(seed: seed)
        for event in 0..<events {
            var bytes = generator.pick(examples.payloads)
            for _ in 0..<generator.int(in: 1..<6) {
                guard !bytes.isEmpty else { break }
                switch generator.int(in: 0..<4) {
                case 0: bytes.removeLast(generator.int(in: 0..<bytes.count))
                case 1: bytes.insert(contentsOf: generator.bytes(3), at: generator.int(in: 0..<bytes.count))
                default: bytes[generator.int(in: 0..<bytes.count)] = UInt8(truncatingIfNeeded: generator.next())
                }
            }
            try bytes.withUnsafeBytes { raw in
                if let record = try? HeadRecordReader.batch(raw) {
                    for group in record.groups
                    where group.values.count != (group.cellStarts.isEmpty ? group.seriesCount : group.rows.count) {
                        throw FuzzFinding(seed: seed, event: event, "cells and values differ in number")
                    }
                }
                _ = try? HeadRecordReader.marks(raw)
                _ = try? HeadRecordReader.metadata(raw)
                _ = try? HistogramColumn.decode(count: generator.int(in: 1..<50), from: raw)
            }
            let count = generator.int(in: 1..<500)
            if let bits = try? ColumnBytes.decode(bytes, count: count), !bits.isEmpty, bits.count != count {
                throw FuzzFinding(seed: seed, event: event, "\(bits.count) values in a column of \(count)")
            }
        }
    }
}
