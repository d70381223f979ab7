internal import Telemetry
internal import TestSupport

@testable import Wire

/// Mangles remote-write requests and Loki pushes: the readers must refuse, or give columns that agree.
struct RemoteWriteFuzzer: Fuzzer {
    static let name = "remote-write"

    static func run(seed: UInt64, events: Int) throws {
        var random = SeededGenerator(seed: seed)
        let memory = SeriesMemory(seriesMaximum: 200)
        for event in 0..<events {
            var body = random.oneIn(2) ? push(&random) : write(&random)
            mangle(&body, &random)
            if let found = try? RemoteWriteReader.read(body, memory: memory), let fault = fault(in: found) {
                throw FuzzFinding(seed: seed, event: event, fault)
            }
            guard let found = try? LokiPushProtobuf.parse(body) else { continue }
            for stream in found.batch.streams {
                let isWhole = stream.lineEnds.count == stream.count && (stream.lineEnds.last ?? 0) == stream.bytes.count
                guard isWhole, Labels(validating: stream.labels.encoded) != nil else {
                    throw FuzzFinding(seed: seed, event: event, "a stream whose columns differ")
                }
            }
        }
    }

    private static func write(_ random: inout SeededGenerator) -> [UInt8] {
        ProtobufWriter.message { request in
            for _ in 0..<random.int(in: 0..<6) {
                let labels = (0..<random.int(in: 0..<4)).map { index in
                    ("l\(random.oneIn(5) ? 0 : index)", "v\(random.int(in: 0..<9))")
                }
                let samples = (0..<random.int(in: 0..<4)).map { (milliseconds: Int64($0), value: Double($0)) }
                request.put(1, ProtobufWriter.series(labels, samples))
            }
        }
    }

    private static func push(_ random: inout SeededGenerator) -> [UInt8] {
        let texts = [#"{a="1"}"#, #"{a="1", b="\u00e9\n"}"#, "{a=`x`}", "{}", #"{a="1",}"#]
        let lines = (0..<random.int(in: 0..<5)).map { (nanoseconds: Int64($0), line: [UInt8(random.int(in: 0..<256))]) }
        return ProtobufWriter.push(texts[random.int(in: 0..<texts.count)], lines)
    }

    private static func mangle(_ bytes: inout [UInt8], _ random: inout SeededGenerator) {
        for _ in 0..<random.int(in: 0..<4) where !bytes.isEmpty {
            let index = random.int(in: 0..<bytes.count)
            switch random.int(in: 0..<3) {
            case 0: bytes[index] = UInt8(truncatingIfNeeded: random.next())
            case 1: bytes.remove(at: index)
            default: bytes.insert(contentsOf: [0xff, 0xff, 0x7f].prefix(random.int(in: 1..<4)), at: index)
            }
        }
    }

    private static func fault(in request: RemoteWriteRequest) -> String? {
        for group in request.batch.groups {
            let count = group.values.count
            if group.timesMilliseconds.count != count || group.seriesIndexes.count != count { return "columns differ" }
            let indexes = group.seriesIndexes + group.histograms.map(\.seriesIndex) + group.exemplars.map(\.seriesIndex)
            for index in indexes {
                guard index < group.series.count else { return "a sample of no series" }
                let labels = group.series[Int(index)].labels
                if labels.isEmpty || Labels(validating: labels.encoded) == nil { return "a sample of bad labels" }
            }
        }
        return nil
    }
}
