internal import Telemetry
internal import TestSupport
internal import Testing

@testable import Wire

/// Mangles batches on every level, behind the LZ4 frame too: the decoder must refuse or give a batch whose columns
/// agree.
struct AgentBatchFuzzer: Fuzzer {
    static let name = "agent-batch"

    static func run(seed: UInt64, events: Int) throws {
        var random = SeededGenerator(seed: seed)
        for event in 0..<events {
            var encoder = AgentFrameEncoder()
            let batch = BatchExamples.batch(BatchExamples.randomSignal(&random))
            let frames = encoder.encode(batch.signal)
            var body = AgentBatchEncoder.body(
                information: batch.information, delivery: batch.delivery,
                frames: [
                    random.oneIn(2) ? frames.declarations : try remade(frames.declarations, &random),
                    random.oneIn(4) ? frames.data : try remade(frames.data, &random),
                ])
            if random.oneIn(3) { mangle(&body, &random) }
            let decoded = try? body.withUnsafeBytes { try AgentBatchDecoder($0).batch(resolving: SeriesDictionary()) }
            guard let decoded, let fault = fault(in: decoded.batch.signal) else { continue }
            throw FuzzFinding(seed: seed, event: event, fault)
        }
    }

    /// The frame with a mangled payload, compressed again so that the mangling reaches the payload's reader.
    private static func remade(_ frame: [UInt8], _ random: inout SeededGenerator) throws -> [UInt8] {
        guard let kind = frame.first else { return [] }
        let small = try frame.withUnsafeBytes { raw in
            var reader = ByteReader(raw, at: 1)
            return Array(try reader.prefixed())
        }
        var payload = try Compression.lz4Frame.decompress(small, bytesMaximum: 1 << 20)
        mangle(&payload, &random)
        var writer = ByteWriter()
        writer.put(random.oneIn(20) ? UInt8(random.int(in: 0..<8)) : kind)
        writer.putPrefixed(Compression.lz4Frame.compress(payload))
        return writer.bytes
    }

    private static func mangle(_ bytes: inout [UInt8], _ random: inout SeededGenerator) {
        for _ in 0..<random.int(in: 0..<4) where !bytes.isEmpty {
            let index = random.int(in: 0..<bytes.count)
            switch random.int(in: 0..<4) {
            case 0: bytes[index] = UInt8(truncatingIfNeeded: random.next())
            case 1: bytes[index] &+= 1
            case 2: bytes.remove(at: index)
            default: bytes.insert(contentsOf: [0xff, 0xff, 0xff, 0x7f].prefix(random.int(in: 1..<5)), at: index)
            }
        }
    }

    private static func fault(in signal: AgentBatch.Signal) -> String? {
        switch signal {
        case .samples(let batch, _):
            for group in batch.groups {
                let count = group.values.count
                let starts = group.startTimesMilliseconds.count
                guard group.timesMilliseconds.count == count, group.seriesIndexes.count == count,
                    starts == 0 || starts == count
                else { return "columns of a group differ in length" }
                let indexes =
                    group.seriesIndexes + group.histograms.map(\.seriesIndex) + group.exemplars.map(\.seriesIndex)
                guard indexes.allSatisfy({ $0 < group.series.count }) else { return "index of no series" }
            }
        case .lines(let batch):
            for stream in batch.streams {
                guard stream.lineEnds.count == stream.count, stream.lineEnds.last ?? 0 == stream.bytes.count,
                    zip(stream.lineEnds, stream.lineEnds.dropFirst()).allSatisfy({ $0 <= $1 }),
                    zip(stream.offsetStarts, stream.offsetEnds).allSatisfy({ $0 <= $1 })
                else { return "columns of a stream do not fit" }
                guard stream.metadata.allSatisfy({ $0.lineIndex < stream.count }) else { return "metadata of no line" }
            }
        case .events: break
        }
        return nil
    }
}

@Suite struct AgentBatchFuzzerTests {
    @Test func smoke() throws { try AgentBatchFuzzer.runFromTable() }
}
